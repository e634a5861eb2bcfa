"""TissueBERT: from reads of bisulfite sequencing to the tissues of a sample. The whole story, stage by stage."""

from __future__ import annotations

from ml_core.families.tissuebert.model_settings import CalibrationSettings, ModelSettings
from ml_core.families.tissuebert.report_settings import MixturesSettings, PredictSettings, ReportSettings
from ml_core.families.tissuebert.settings import PanelSettings, RawSettings, RegionsSettings, SplitsSettings
from ml_core.stages import Check, Family, Prediction, Score, Stage

RAW = Stage(
    name="raw",
    settings=RawSettings,
    run="raw:build",
    observe="raw:observe",
    description="Verified, never altered copy of reads, panel, atlas and genome: your own, or simulated.",
    checks=(
        Check(
            "verified_copy",
            "The copied bytes are not those of the source.",
            "Run again; if it persists, check the disk.",
        ),
    ),
    kinds=("file",),
)

PANEL = Stage(
    name="panel",
    settings=PanelSettings,
    run="panel:build",
    inputs=("raw",),
    description="Windows of 150 bp on the regions, chosen by what training donors tell; donors are dealt here.",
    checks=(
        Check(
            "all_tissues_testable",
            "Tissues with one donor are learnt, and no figure says how well.",
            "Give samples of further donors, or read the report without these tissues.",
            blocking=False,
        ),
    ),
    kinds=("numpy",),
)

REGIONS = Stage(
    name="regions",
    settings=RegionsSettings,
    run="regions:build",
    inputs=("raw", "panel"),
    description="All reads on the panel in one file (HDF5), one row each, with the DNA of a region once.",
    checks=(
        Check(
            "states_at_cpgs",
            "Methylation is told of places that are no CpG of the region.",
            "This is a bug: report it with the settings of panel and regions.",
        ),
        Check(
            "regions_read",
            "Many regions have no read at all: panel and samples may be of different kinds or builds.",
            "Look whether they belong together; raise regions.max_empty if this is as it should be.",
            blocking=False,
        ),
    ),
    kinds=("hdf5",),
)

SPLITS = Stage(
    name="splits",
    settings=SplitsSettings,
    run="splits:build",
    inputs=("panel", "regions"),
    description="Training, validation and test samples by donor, and a search for copies across them.",
    checks=(
        Check(
            "no_shared_donor",
            "A donor has samples in two splits: every metric would be too good.",
            "This is a bug: report it with the sheet of the samples and the settings of panel.",
        ),
        Check(
            "new_donors",
            "Training and test reads are of the same donors, so that the figures say nothing of new donors.",
            "Take the figures as those of new reads of known donors, or give samples of several donors.",
            blocking=False,
        ),
        Check(
            "no_near_duplicate",
            "A sample is a copy of one in another split: every metric would be too good.",
            "Give both the same donor in the sheet, or take one out; raise splits.near_duplicate if they are not.",
        ),
        Check(
            "all_splits_filled",
            "A split has no samples to learn from or to be judged on.",
            "Give samples of more donors, three of a tissue at least.",
        ),
    ),
    kinds=("numpy",),
)

MODEL = Stage(
    name="model",
    settings=ModelSettings,
    run="train:train",
    inputs=("regions", "splits"),
    description="The transformer over reads of training donors, chosen on validation donors.",
    checks=(
        Check("finite", "The loss became NaN or infinite.", "Lower learning_rate, or look at the bags it names."),
        Check(
            "test_unseen",
            "Test samples were learnt from, so that no figure of the test set counts.",
            "This is a bug: report it with the settings of splits and model.",
        ),
    ),
    kinds=("pytorch",),
    training="train:prepare",
)

CALIBRATION = Stage(
    name="calibration",
    settings=CalibrationSettings,
    run="calibration:build",
    inputs=("regions", "splits", "model"),
    description="Temperatures of validation donors, so that a stated chance is as often right; judged on test donors.",
    checks=(
        Check(
            "fitted_on_donors",
            "No validation donors of two tissues: chances are stated as the model gives them.",
            "Give samples of three donors or more of at least two tissues.",
            blocking=False,
        ),
        Check(
            "calibrated",
            "On test donors stated chances are off by more than 0.02.",
            "Read chances with care; give more validation donors.",
            blocking=False,
        ),
    ),
    kinds=("numpy",),
)

MIXTURES = Stage(
    name="mixtures",
    settings=MixturesSettings,
    run="mixtures:build",
    inputs=("regions", "splits", "model", "calibration"),
    description="Held-out donors mixed in known proportions, and what is found of them.",
    checks=(
        Check(
            "baselines_beaten",
            "Plain NNLS or EM is nearer to the true proportions at some depth.",
            "Use that at this depth, or give more training donors.",
            blocking=False,
        ),
        Check(
            "intervals_hold",
            "The 95 % intervals hold too few or too many of the true proportions.",
            "Give more validation donors; read the intervals with care.",
            blocking=False,
        ),
        Check(
            "unknown_found",
            "The unknown share is off by more than 2 points.",
            "Do not report the unknown share.",
            blocking=False,
        ),
    ),
    kinds=("numpy",),
)

REPORT = Stage(
    name="report",
    settings=ReportSettings,
    run="report:build",
    inputs=("panel", "regions", "splits", "model", "calibration", "mixtures"),
    description="Model and baselines on test donors by read, region and sample, and in mixtures, as one page.",
    checks=(
        Check(
            "no_shared_donor",
            "A donor has samples in two splits: every metric is too good.",
            "This is a bug: report it with the sheet of the samples and the settings of panel.",
        ),
        Check(
            "within_ceiling",
            "Regions are named better than the training donors' tables say that anyone can: test donors may be known.",
            "Look for copies of test samples among the training samples.",
            blocking=False,
        ),
        Check(
            "baselines_beaten",
            "Logistic regression, naive Bayes, NNLS or EM does better than the model at something.",
            "Use that for it; or train longer, give more donors, or look at the curves.",
            blocking=False,
        ),
    ),
    kinds=("html",),
)

FAMILY = Family(
    name="tissuebert",
    title="TissueBERT: tissue of origin from DNA methylation",
    description="Reads of bisulfite sequencing over a panel of regions, pooled into the tissues they come from.",
    package="ml_core.families.tissuebert",
    stages=(RAW, PANEL, REGIONS, SPLITS, MODEL, CALIBRATION, MIXTURES, REPORT),
    key_metrics=(
        "test.sample_accuracy",
        "test.region_accuracy",
        "test.region_ceiling",
        "test.read_accuracy",
        "test.read_auc",
        "baseline.logistic.sample_accuracy",
        "baseline.naive_bayes.sample_accuracy",
        "mixtures.depth_5.mae",
        "baseline.nnls.depth_5.mae",
        "baseline.em.depth_5.mae",
        "calibration.ece",
        "interval.coverage",
        "split.shared_donors",
    ),
    more_metrics=(
        "baseline.logistic.read_",
        "test.read_accuracy_",
        "test.read_auc_",
        "test.reads_200.",
        "baseline.logistic.reads_200.",
        "baseline.naive_bayes.reads_200.",
        "unknown.worst_",
    ),
    scores=(Score("test.sample_accuracy", higher_is_better=True),),
    smallest={
        "raw": {"regions": 30, "tissues": 4, "donors": 4, "depth": 6.0},
        "model": {
            "dim": 16,
            "layers": 1,
            "heads": 2,
            "feed_dim": 32,
            "region_rank": 8,
            "bag_reads": 3,
            "tissue_weight": 1.0,
            "label_smoothing": 0.0,
            "learning_rate": 0.01,
            "batch_size": 4,
            "samples_per_epoch": 24,
            "table_folds": 2,
            "max_epochs": 3,
        },
        "mixtures": {
            "depths": [5],
            "concentrations": [0.1],
            "cfdna": 2,
            "dirichlet": 1,
            "validation": 2,
            "grid_fractions": [0.2],
            "grid_depths": [5],
            "grid_repeats": 1,
            "blanks": 2,
            "missing_fractions": [0.1],
            "missing_repeats": 1,
            "bootstrap_draws": 20,
        },
        "report": {"draws": 2, "pooled_reads": [10, 50]},
    },
    predict=Prediction(
        stage="mixtures",
        settings=PredictSettings,
        run="predict:answer",
        description="The tissues of one new sample with intervals, or that it cannot be reported and why.",
    ),
)
