"""What a stage says about its artifact: numbers, tables, figures and decided checks. Plain data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

Number = float | int | str | bool | None


@dataclass(frozen=True)
class CheckResult:
    """The decision of one declared check. `message` says what was seen, with its figure."""

    name: str
    passed: bool
    message: str


@dataclass
class Summary:
    """Filled by a stage function.

    headline: one sentence that a reader sees first.
    numbers:  flat, dotted names (`ring.top1`, `graph.transcripts_per_cpu_second`) to scalars; NaN and inf become None.
    tables:   title to rows; each row is a mapping of column to scalar.
    figures:  title to a path relative to the artifact's directory (PNG).
    checks:   one result for each check that the stage declares.
    """

    headline: str = ""
    numbers: dict[str, Number] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Number]]] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)

    def check(self, name: str, passed: bool, message: str) -> None:
        """Record the decision of the declared check `name`; `message` becomes a sentence with one full stop."""
        self.checks.append(CheckResult(name, bool(passed), message.rstrip(".") + "."))

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = _plain(asdict(self))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Summary:
        return cls(**{**data, "checks": [CheckResult(**check) for check in data["checks"]]})


def _plain(value: Any) -> Any:
    """JSON data without numpy scalars and without NaN or infinities."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
