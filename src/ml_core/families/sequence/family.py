"""Sequence: from a table of ASVs to a model of the samples. The whole story, stage by stage."""

from __future__ import annotations

from ml_core.families.sequence.model_settings import EncoderSettings, PredictorSettings
from ml_core.families.sequence.report_settings import PredictSettings, ReportSettings
from ml_core.families.sequence.settings import RawSettings, SplitsSettings, TableSettings, UnifracSettings
from ml_core.stages import Check, Family, Prediction, Score, Stage

RAW = Stage(
    name="raw",
    settings=RawSettings,
    run="raw:build",
    observe="raw:observe",
    description="Verified, never altered copy of table, tree, sequences and metadata: your own, or simulated.",
    checks=(
        Check(
            "verified_copy",
            "The copied bytes are not those of the source.",
            "Run again; if it persists, check the disk.",
        ),
    ),
    kinds=("file",),
)

TABLE = Stage(
    name="table",
    settings=TableSettings,
    run="table:build",
    inputs=("raw",),
    description="ASVs with sequence and tip, samples with metadata, rarefied to one depth; an account of the rest.",
    checks=(
        Check(
            "most_reads_kept",
            "Many reads are of ASVs without a sequence or a tip, so that samples are not what they were.",
            "Give the tree and the sequences that belong to the table.",
            blocking=False,
        ),
        Check(
            "most_samples_kept",
            "Many samples are too shallow, or the metadata do not have them.",
            "Lower table.depth, or complete the metadata; the table of samples left out names them.",
            blocking=False,
        ),
        Check(
            "tree_whole",
            "The tree lacked something, and distances rest on how it was mended.",
            "Mend the tree, or look whether the repairs are few.",
            blocking=False,
        ),
    ),
    kinds=("numpy",),
)

UNIFRAC = Stage(
    name="unifrac",
    settings=UnifracSettings,
    run="distances:build",
    inputs=("raw", "table"),
    description="UniFrac between all samples of the rarefied table, and Faith's phylogenetic diversity.",
    checks=(
        Check(
            "distances_finite",
            "Some distances are no numbers.",
            "This is a bug: report it with the settings of table and unifrac.",
        ),
        Check(
            "distances_spread",
            "All samples are equally far apart: there is nothing to learn from the distances.",
            "Look at the figure; lower table.depth for more samples, or take the other unifrac.metric.",
        ),
        Check(
            "same_reads",
            "Imported distances come from other reads than the table has, which limits how well they can be learnt.",
            "Leave raw.distances empty, or import distances of the table at the same depth.",
            blocking=False,
        ),
    ),
    kinds=("numpy",),
)

SPLITS = Stage(
    name="splits",
    settings=SplitsSettings,
    run="splits:build",
    inputs=("table",),
    description="Training, validation and test samples, whole groups (subjects) together; one deal for all.",
    checks=(
        Check(
            "no_shared_group",
            "A group has samples in two splits: every metric would be too good.",
            "This is a bug: report it with the settings of splits.",
        ),
        Check(
            "all_splits_filled",
            "A split has no samples to learn from or to be judged on.",
            "Lower splits.folds, or keep more samples.",
        ),
    ),
    kinds=("numpy",),
)

ENCODER = Stage(
    name="encoder",
    settings=EncoderSettings,
    run="encoder_stage:train",
    inputs=("table", "unifrac", "splits"),
    description="Network pretrained on UniFrac and hidden nucleotides of training and extra samples, without labels.",
    checks=(
        Check("finite", "The loss became NaN or infinite.", "Lower learning_rate, or look at the samples it names."),
        Check(
            "test_unseen",
            "Test samples were learnt from, so that no figure of the test set counts.",
            "This is a bug: report it with the settings of splits and encoder.",
        ),
    ),
    kinds=("pytorch",),
    training="encoder_stage:prepare",
)

PREDICTOR = Stage(
    name="predictor",
    settings=PredictorSettings,
    run="predictor_stage:train",
    inputs=("table", "splits", "encoder"),
    description="Heads on the encoder that learn a column of the metadata from the training samples.",
    checks=(
        Check("finite", "The loss became NaN or infinite.", "Lower learning_rate, or look at the samples it names."),
        Check(
            "test_unseen",
            "Test samples were learnt from, so that no figure of the test set counts.",
            "This is a bug: report it with the settings of splits and predictor.",
        ),
    ),
    kinds=("pytorch",),
    training="predictor_stage:prepare",
)

REPORT = Stage(
    name="report",
    settings=ReportSettings,
    run="report:build",
    inputs=("table", "unifrac", "splits", "encoder", "predictor"),
    description="Model and baselines on test groups, pretraining on unseen samples, attention, as one page.",
    checks=(
        Check(
            "no_shared_group",
            "A group has samples in two splits: every metric is too good.",
            "This is a bug: report it with the settings of splits.",
        ),
        Check(
            "baselines_beaten",
            "A random forest, the nearest samples or a constant predicts the target better than the model.",
            "Use that; or train longer, give more samples, or look at the curves.",
            blocking=False,
        ),
    ),
    kinds=("html",),
)

FAMILY = Family(
    name="sequence",
    title="Sequence: a model of microbiome samples",
    description="Pretrains on UniFrac and masked nucleotides, then predicts what the metadata say of a sample.",
    package="ml_core.families.sequence",
    stages=(RAW, TABLE, UNIFRAC, SPLITS, ENCODER, PREDICTOR, REPORT),
    key_metrics=(
        "test.mae",
        "test.auc",
        "baseline.random_forest.mae",
        "baseline.random_forest.auc",
        "baseline.median.mae",
        "baseline.knn_unifrac.mae",
        "pretrain.unifrac_r2",
        "pretrain.masked_accuracy",
        "baseline.position_majority.masked_accuracy",
        "baseline.nearest_asv.masked_accuracy",
        "split.shared_groups",
    ),
    more_metrics=("label_efficiency.", "test.interval_coverage"),
    scores=(
        Score("test.mae", higher_is_better=False),
        Score("test.auc", higher_is_better=True),
    ),
    smallest={
        "raw": {"subjects": 12, "samples_per_subject": 4, "extra_samples": 8, "asvs": 60, "clades": 8, "reads": 800},
        "table": {"depth": 200},
        "splits": {"stratify_by": "trait"},
        "encoder": {
            "dim": 16,
            "asv_layers": 1,
            "heads": 2,
            "embedding_dim": 24,
            "clades": 32,
            "nucleotide_hidden": 32,
            "block_samples": 4,
            "max_epochs": 3,
        },
        "predictor": {
            "rarefactions": 3,
            "channels": 24,
            "hidden": 32,
            "head_layers": 2,
            "head_dropout": 0.1,
            "input_dropout": 0.0,
            "members": 2,
            "max_epochs": 4,
        },
    },
    predict=Prediction(
        stage="predictor",
        settings=PredictSettings,
        run="predict:answer",
        description="The target of new samples, in its own units, with an interval.",
    ),
)
