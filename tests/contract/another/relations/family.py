"""The family on one page."""

from __future__ import annotations

from ml_core.families.relations.settings import GraphSettings, ModelSettings, ReportSettings

from ml_core.stages import Family, Score, Stage

FAMILY = Family(
    name="relations",
    title="Relations",
    description="Embeddings of a knowledge graph.",
    package="ml_core.families.relations",
    stages=(
        Stage("graph", GraphSettings, "work:simulate", "Edges."),
        Stage("embeddings", ModelSettings, "work:train", "A model.", inputs=("graph",), training="work:prepare"),
        Stage("page", ReportSettings, "work:report", "A page.", inputs=("embeddings",)),
    ),
    key_metrics=("accuracy",),
    scores=(Score("accuracy", higher_is_better=True),),
    smallest={
        "embeddings": {
            "max_epochs": 2,
            "batch_size": 24,
            "learning_rate": 0.05,
            "monitor": "val_accuracy",
            "monitor_mode": "max",
        }
    },
)
