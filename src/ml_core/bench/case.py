"""What a benchmark is declared as, and the row that it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EXTRA = "pip install '.[bench]'"


@dataclass(frozen=True)
class Case:
    """One benchmark.

    run: "module:function" in full, imported only in the process that measures; it takes a `Request` and returns rows.
    title: what is compared with what, in a line.
    """

    name: str
    title: str
    run: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """How a case is asked to measure. quick: small sizes and one round, to see that everything works."""

    quick: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 5


@dataclass(frozen=True)
class Growth:
    """How a family's input is made larger, for the cases `growth-<family>`.

    grows: "stage.field" -> its value at 1x, which is multiplied. settings: what else differs from the defaults, by
    stage. unit and counted: what the size is counted in, and the stage and the number of its summary that count it.
    """

    unit: str
    counted: tuple[str, str]
    grows: Mapping[str, int]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def at(self, factor: int) -> dict[str, dict[str, Any]]:
        """Settings by stage at so many times the input."""
        found = {stage: dict(values) for stage, values in self.settings.items()}
        for target, value in self.grows.items():
            stage, name = target.split(".")
            found.setdefault(stage, {})[name] = value * factor
        return found


@dataclass(frozen=True)
class Reach:
    """What a row must reach: its ratio, or ours where it has none, at least or at most."""

    least: float | None = None
    most: float | None = None

    def by(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def text(self, unit: str) -> str:
        sign, bound = (">=", self.least) if self.least is not None else ("<=", self.most)
        return f"{sign} {bound:,.12g}{unit}"


@dataclass(frozen=True)
class Side:
    """What one side needs: the median of the rounds. memory_gb: what its process grew by at the peak."""

    name: str
    value: float
    unit: str = "CPU-s"
    wall_seconds: float | None = None
    memory_gb: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table. ratio: how many times better ours is, unless `what` says otherwise.

    series: numbers by name that figures are drawn from. reached: None where nothing can be said.
    """

    what: str
    ours: Side | None
    beside: Side | None = None
    ratio: float | None = None
    reach: Reach | None = None
    note: str = ""
    case: str = ""
    failed: bool = False
    rounds: int = 0
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        if self.failed:
            return False
        value = self.ratio if self.ratio is not None else self.ours.value if self.ours and not self.beside else None
        return None if value is None or self.reach is None else self.reach.by(value)

    @property
    def reach_text(self) -> str:
        if self.reach is None:
            return ""
        return self.reach.text("x" if self.beside or not self.ours else f" {self.ours.unit}".rstrip())


def failure(case: str, sentence: str) -> Row:
    """The row of a case that could not be measured."""
    return Row("could not be measured", None, note=sentence, case=case, failed=True)


def without_peer(what: str, *, reach: Reach, ours: Side | None = None) -> Row:
    """The row of a comparison whose other side stands in the extra `bench` and is not installed."""
    return Row(what, ours, reach=None if ours else reach, note=f"peer not installed: {EXTRA}")
