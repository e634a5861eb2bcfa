"""The rows of a run as JSON, whole after every row: what an interrupted run has measured is kept."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ml_core.bench.case import Reach, Row, Side
from ml_core.errors import UserError


@dataclass
class Ledger:
    """Rows by case, in the order in which they came, and the machine that they were measured on."""

    path: Path | None
    machine: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    measured: dict[str, str] = field(default_factory=dict)  # case -> when, UTC
    seconds: dict[str, float] = field(default_factory=dict)  # case -> how long it took
    quick: bool = False

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """UserError where the file is not one of these."""
        try:
            found = json.loads(path.read_text())
            rows = [row_of(each) for each in found["rows"]]
            return cls(path, found["machine"], rows, found["measured"], found["seconds"], found["quick"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} does not hold rows of `bench`; name another file, or remove it.") from error

    def add(self, case: str, rows: Iterable[Row], *, seconds: float) -> None:
        """In place of what an earlier run had measured of the case, else at the end."""
        place = next((number for number, row in enumerate(self.rows) if row.case == case), len(self.rows))
        others = [row for row in self.rows if row.case != case]
        self.rows = [*others[:place], *rows, *others[place:]]
        self.measured[case] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        self.seconds[case] = round(seconds, 1)
        self.write()

    def write(self) -> None:
        """Beside its place, and then renamed into it."""
        if self.path is None:
            return
        found = {
            "machine": self.machine,
            "quick": self.quick,
            "measured": self.measured,
            "seconds": self.seconds,
            "rows": [
                {**asdict(row), "reached": row.reached, "reach_text": row.reach_text, "failed": row.failed}
                for row in self.rows
            ],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}")
        aside.write_text(json.dumps(found, indent=1) + "\n")
        os.replace(aside, self.path)


def row_of(found: Mapping[str, Any]) -> Row:
    """A row as JSON has it."""
    values = {name: value for name, value in found.items() if name in Row.__dataclass_fields__}
    for name, kind in (("ours", Side), ("beside", Side), ("reach", Reach)):
        if values.get(name) is not None:
            values[name] = kind(**values[name])
    return Row(**values)
