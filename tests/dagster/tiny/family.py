"""A family for the tests of the door: raw -> table -> model -> report, each done in no time."""

from __future__ import annotations

from typing import Literal

from ml_core.settings import Settings, setting
from ml_core.stages import Check, Family, Stage


class RawSettings(Settings):
    path: str = setting("", description="File with one number per line; empty: five numbers of our own")


class TableSettings(Settings):
    factor: float = setting(2.0, description="What each number is multiplied by", ge=0)
    most: float = setting(1000.0, description="Numbers above are strange")
    how: Literal["plain", "sorted"] = setting("plain", description="Order of the numbers")
    workers: int = setting(1, description="Changes how fast it goes and nothing else", affects_result=False)


class ModelSettings(Settings):
    epochs: int = setting(3, description="Epochs", ge=1)
    seconds_per_epoch: float = setting(0.0, description="How long one takes", unit="s", affects_result=False)
    diverges: bool = setting(False, description="The loss becomes NaN in the last epoch")


class ReportSettings(Settings):
    rows: int = setting(3, description="Rows of the table")


RAW = Stage(
    name="raw",
    settings=RawSettings,
    run="work:raw",
    observe="work:observe",
    description="Numbers as they came.",
    checks=(Check("some", "There is nothing to work on.", "Give a file with numbers."),),
    kinds=("file",),
)
TABLE = Stage(
    name="table",
    settings=TableSettings,
    run="work:table",
    inputs=("raw",),
    description="Numbers, multiplied.",
    checks=(
        Check("positive", "Numbers must be positive.", "Raise factor."),
        Check("not_strange", "Some numbers are strange.", "Look at them.", blocking=False),
    ),
    kinds=("json",),
)
MODEL = Stage(
    name="model",
    settings=ModelSettings,
    run="work:train",
    inputs=("table",),
    description="Learns the mean.",
    checks=(Check("finite", "The loss became NaN.", "Lower the learning rate."),),
    kinds=("pytorch",),
    trains=True,
)
REPORT = Stage(
    name="report",
    settings=ReportSettings,
    run="work:report",
    inputs=("table", "model"),
    description="How good it is.",
    kinds=("html",),
)
FAMILY = Family(
    name="tiny",
    title="Tiny: numbers to their mean",
    description="Learns the mean of some numbers.",
    package="tests.dagster.tiny",
    stages=(RAW, TABLE, MODEL, REPORT),
)
