"""Rows in, edges kept and rows dropped by reason, for each relation: the sums must tie out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

REASONS = (
    "excluded_relation",  # not in include_relations
    "excluded_node_type",  # an end's type is not in include_node_types
    "self_loop",  # both ends are the same node
    "duplicate",  # the same row stands above
    "reverse_duplicate",  # the same edge stands there in the other direction
    "limit_nodes",  # an end is not in the sample
)


@dataclass
class Account:
    """One relation between two types of nodes."""

    relation: str
    head: str
    tail: str
    rows_in: int
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def ties_out(self) -> bool:
        return self.rows_in == self.kept + sum(self.dropped.values())

    def row(self) -> dict[str, str | int]:
        """For a table; reasons that dropped nothing anywhere can be left out by the caller."""
        counts: dict[str, str | int] = {
            "relation": self.relation,
            "head": self.head,
            "tail": self.tail,
            "rows in": self.rows_in,
        }
        return {**counts, "edges kept": self.kept, **self.dropped}


@dataclass(frozen=True)
class Ledger:
    """All accounts; `drop` and `keep` take the account of each row, [m] int."""

    accounts: list[Account]

    def drop(self, reason: str, group: np.ndarray) -> None:
        for account, count in zip(self.accounts, self._counts(group), strict=True):
            if count:
                account.dropped[reason] = account.dropped.get(reason, 0) + count

    def keep(self, group: np.ndarray) -> None:
        """Set what is kept, once what is dropped is known."""
        for account, count in zip(self.accounts, self._counts(group), strict=True):
            account.kept = count

    def total(self, reason: str) -> int:
        return sum(account.dropped.get(reason, 0) for account in self.accounts)

    def untied(self) -> list[str]:
        """Names of the relations whose sums do not tie out."""
        return [account.relation for account in self.accounts if not account.ties_out]

    def rows(self) -> list[dict[str, str | int]]:
        """One for each relation, with the reasons that dropped something."""
        reasons = self.reasons()
        rows = [{**account.row(), **{r: account.dropped.get(r, 0) for r in reasons}} for account in self.accounts]
        return sorted(rows, key=lambda row: (-int(row["edges kept"]), -int(row["rows in"]), str(row["relation"])))

    def reasons(self) -> list[str]:
        used = dict.fromkeys(reason for account in self.accounts for reason in account.dropped)
        return [*(r for r in REASONS if r in used), *(r for r in used if r not in REASONS)]

    def save(self, path: Path) -> None:
        rows = [
            {"relation": a.relation, "head": a.head, "tail": a.tail, "rows_in": a.rows_in, "kept": a.kept}
            | {"dropped": a.dropped}
            for a in self.accounts
        ]
        path.write_text(json.dumps(rows, indent=2) + "\n")

    def _counts(self, group: np.ndarray) -> Iterable[int]:
        return [int(count) for count in np.bincount(group, minlength=len(self.accounts))]
