"""The tiny family on one page."""

from __future__ import annotations

from ml_core.stages import Check, Family, Stage
from tests.dagster.letters.settings import ModelSettings, RawSettings, ReportSettings, TableSettings

FAMILY = Family(
    name="tiny",
    title="Tiny",
    description="Counts letters.",
    package="tests.dagster.letters",
    stages=(
        Stage("raw", RawSettings, "work:copy", "A text.", observe="work:observe", kinds=("file",)),
        Stage(
            "table",
            TableSettings,
            "work:count",
            "Its letters, counted.",
            inputs=("raw",),
            checks=(
                Check("usable", "The table is of no use.", "Write another text."),
                Check("pretty", "The table is ugly.", "Look at it.", blocking=False),
            ),
        ),
        Stage(
            "model",
            ModelSettings,
            "train:train",
            "Epochs.",
            inputs=("table",),
            kinds=("pytorch",),
            training="train:prepare",
        ),
        Stage("report", ReportSettings, "work:report", "A page.", inputs=("table", "model"), kinds=("html",)),
    ),
)
