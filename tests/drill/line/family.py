"""The line on one page."""

from __future__ import annotations

from ml_core.stages import Check, Family, Score, Stage
from tests.drill.line.settings import ModelSettings, PointsSettings, ReportSettings

FAMILY = Family(
    name="line",
    title="Line",
    description="A line through points.",
    package="tests.drill.line",
    stages=(
        Stage("points", PointsSettings, "work:simulate", "Points near a line.", kinds=("file",)),
        Stage(
            "model",
            ModelSettings,
            "work:train",
            "Slope and intercept.",
            inputs=("points",),
            kinds=("pytorch",),
            training="work:prepare",
        ),
        Stage(
            "report",
            ReportSettings,
            "work:report",
            "How far off it is.",
            inputs=("points", "model"),
            kinds=("html",),
            checks=(Check("finite", "The error is no number.", "Look at the training."),),
        ),
    ),
    scores=(Score("test.mse", higher_is_better=False),),
)
