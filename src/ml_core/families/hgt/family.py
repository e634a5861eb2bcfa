"""HGT: from a biomedical knowledge graph to embeddings and drugs for diseases. The whole story, stage by stage."""

from __future__ import annotations

from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.report_settings import ControlsSettings, EmbeddingsSettings, PredictSettings, ReportSettings
from ml_core.families.hgt.settings import GraphSettings, RawSettings, SplitsSettings
from ml_core.stages import Check, Family, Prediction, Score, Stage

RAW = Stage(
    name="raw",
    settings=RawSettings,
    run="raw:build",
    observe="raw:observe",
    description="Verified, never altered copy of the graph's files: your own, PrimeKG, the pinned HPO, or simulated.",
    checks=(
        Check(
            "verified_copy",
            "The copied bytes are not those of the source.",
            "Run again; if it persists, check the disk.",
        ),
    ),
    kinds=("file",),
)

GRAPH = Stage(
    name="graph",
    settings=GraphSettings,
    run="graph:build",
    inputs=("raw",),
    description="Typed nodes and canonical edges, each once, with an account of every row of the file.",
    checks=(
        Check(
            "accounted",
            "Rows or nodes of the file are neither kept nor dropped for a reason.",
            "This is a bug: report it with the table of rows by relation.",
        ),
        Check(
            "connected",
            "Many nodes are joined to each other only in small islands, of which little can be learnt.",
            "Keep more node types or relations, or look at what was dropped.",
            blocking=False,
        ),
    ),
    kinds=("numpy",),
)

SPLITS = Stage(
    name="splits",
    settings=SplitsSettings,
    run="splits:build",
    inputs=("graph",),
    description="Training, validation and test edges, both directions together: at random, or by disease.",
    checks=(
        Check(
            "no_leakage",
            "An edge, or its reverse, is in two splits: every metric would be too good.",
            "This is a bug: report it with the settings of graph and splits.",
        ),
        Check(
            "all_splits_filled",
            "A split has no edges to learn from or to be judged on.",
            "Lower splits.min_edges, or keep more of the graph.",
        ),
    ),
    kinds=("numpy",),
)

MODEL = Stage(
    name="model",
    settings=ModelSettings,
    run="train:train",
    inputs=("graph", "splits"),
    description="Heterogeneous graph transformer trained to find hidden training edges, chosen on validation edges.",
    checks=(
        Check("finite", "The loss became NaN or infinite.", "Lower learning_rate, or look at the samples it names."),
        Check(
            "targets_hidden",
            "The model sees the edges that it is to find among its messages, and learns to copy them.",
            "This is a bug: report it with the settings of model.",
        ),
    ),
    kinds=("pytorch",),
    training="train:prepare",
)

EMBEDDINGS = Stage(
    name="embeddings",
    settings=EmbeddingsSettings,
    run="embeddings:build",
    inputs=("graph", "splits", "model"),
    description="An embedding of every node, from messages along training edges, as table and arrays.",
    checks=(
        Check("finite_embeddings", "Some numbers are NaN or infinite.", "Train the model anew; look at its curves."),
    ),
    kinds=("parquet", "pytorch"),
)

CONTROLS = Stage(
    name="controls",
    settings=ControlsSettings,
    run="controls:build",
    inputs=("graph", "splits", "model"),
    description="What the model is held against: factorisation, the network untrained, and on constant vectors.",
    checks=(
        Check("finite_controls", "Some numbers are NaN or infinite.", "Look at the curves of the model's training."),
    ),
    kinds=("numpy", "pytorch"),
)

REPORT = Stage(
    name="report",
    settings=ReportSettings,
    run="report:build",
    inputs=("graph", "splits", "model", "embeddings", "controls"),
    description="Links beside every control, the geometry of each type, and a verdict, as one page.",
    checks=(
        Check(
            "verdict",
            "The embeddings of a type have collapsed, or the links are no better than an untrained network's.",
            "Do not use them: look at the collapse curves of the training, train longer, or change the learning rate.",
        ),
        Check(
            "well_spread",
            "Nodes of a type point in much the same direction.",
            "Look at the distribution of their cosines before you compare them.",
            blocking=False,
        ),
        Check(
            "baselines_beaten",
            "Popularity or DistMult, plain or leaning, finds test edges of some relations better than the model.",
            "Train longer, or look at the table of relations for those that are lost.",
            blocking=False,
        ),
        Check(
            "verdict_can_fail",
            "A control that carries no information passes the verdict, so that it proves nothing here.",
            "Judge by the links alone, or give a larger graph.",
            blocking=False,
        ),
    ),
    kinds=("html",),
)

MAIN = ("mrr", "hits10", "auroc")  # of indications

FAMILY = Family(
    name="hgt",
    title="HGT: embeddings of a knowledge graph",
    description="Embeds the nodes of a PrimeKG-style graph with a heterogeneous graph transformer, and ranks drugs.",
    package="ml_core.families.hgt",
    stages=(RAW, GRAPH, SPLITS, MODEL, EMBEDDINGS, CONTROLS, REPORT),
    key_metrics=(
        *(f"test.indication.{name}" for name in MAIN),
        "test.indication.matched_auroc",
        *(f"control.{control}.indication.{name}" for control in ("popularity", "distmult") for name in MAIN),
        "geometry.disease.effective_rank",
        "geometry.disease.pca90",
        "geometry.disease.within_cosine",
        "verdict",
        "train.seconds",
    ),
    scores=(Score("test.mean_over_relations.mrr", higher_is_better=True),),
    smallest={
        "raw": {"nodes": 600, "communities": 6, "noise": 0.1},
        "graph": {"include_node_types": ["drug", "disease", "gene/protein"]},
        "model": {
            "embedding_dim": 32,
            "hidden_dim": 16,
            "num_heads": 2,
            "negatives": 32,
            "validation_edges": 40,
            "slices": 8,
            "batch_size": 2,
            "max_epochs": 4,
            "vector_share": 0.5,
            "contrastive_weight": 0.05,
            "learning_rate": 0.01,
            "validate_every_epochs": 1,
        },
        "report": {"bootstrap_draws": 20, "max_test_edges": 40},
    },
    predict=Prediction(
        stage="embeddings",
        settings=PredictSettings,
        run="predict:answer",
        description="Drugs of a disease, or diseases of a drug, with scores and evidence paths.",
    ),
)
