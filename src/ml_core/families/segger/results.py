"""Predictions on disk, dealt out to the input's row groups and to blocks of cells, and read one of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml_core.families.segger.buckets import Buckets
from ml_core.families.segger.export import Block, Rows

CELLS_AT_ONCE = 20_000
FILTERED, NO_CANDIDATE, BELOW_CUT, FRAGMENT, ASSIGNED = "filtered", "no_candidate", "below_cut", "fragment", "assigned"
STATES = (FILTERED, NO_CANDIDATE, BELOW_CUT, FRAGMENT, ASSIGNED)


@dataclass(frozen=True)
class Results:
    """What `export` writes (`export.Predictions`); the transcripts themselves stand in `table`, the input's.

    states: how many input rows have each status, the most frequent first.
    """

    table: Path
    genes: list[str]
    cell_ids: list[str]
    by_row: Buckets
    by_cell: Buckets
    states: dict[str, int]

    def rows(self) -> Iterator[Rows]:
        start = 0
        for group, columns in _row_groups(self.table, ["transcript_id", "x_um", "y_um", "gene"]):
            n, found = len(columns), self.by_row.read(group)
            cell, state = np.full(n, -1, np.int32), np.zeros(n, np.int8)
            score, evidence = np.full(n, np.nan, np.float32), np.full(n, np.nan, np.float32)
            if found:
                for values, name in ((cell, "cell"), (state, "state"), (score, "score"), (evidence, "evidence")):
                    values[found["place"]] = found[name]
            yield Rows(
                start,
                transcript_id=columns["transcript_id"].to_numpy(),
                xy=np.stack([columns["x_um"].to_numpy(), columns["y_um"].to_numpy()], axis=1),
                gene=columns["gene"].to_numpy(),
                cell=cell,
                score=score,
                evidence=evidence,
                status=np.array(STATES)[state],
            )
            start += n

    def blocks(self) -> Iterator[Block]:
        for number in range(len(self.by_cell)):
            first, found = number * CELLS_AT_ONCE, self.by_cell.read(number)
            count = min(CELLS_AT_ONCE, len(self.cell_ids) - first)
            if found:
                yield Block(first, count, xy=found["xy"], gene=found["gene"], cell=found["cell"] - np.int32(first))

    def deal_to_cells(self) -> None:
        """Fill `by_cell` from `by_row`, in input order."""
        for rows in self.rows():
            there = np.flatnonzero(rows.cell >= 0)
            cell = rows.cell[there]
            self.by_cell.deal(cell // CELLS_AT_ONCE, cell=cell, xy=rows.xy[there], gene=rows.gene[there])


def group_starts(table: Path) -> np.ndarray:
    """[groups + 1] first row of each row group."""
    metadata = pq.read_metadata(table)
    return np.cumsum([0, *(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))])


def identifiers_of(table: Path, rows: np.ndarray) -> np.ndarray:
    """transcript_id of some input rows [r], in their order."""
    order, starts = np.argsort(rows, kind="stable"), group_starts(table)
    parts = []
    for group, columns in _row_groups(table, ["transcript_id"]):
        first, last = np.searchsorted(rows[order], starts[group : group + 2])
        parts.append(columns["transcript_id"].to_numpy()[rows[order][first:last] - starts[group]])
    found = np.concatenate(parts)
    result = np.empty_like(found)
    result[order] = found
    return result


def same_identifiers(one: Path, other: Path) -> bool:
    """Whether two tables have the same transcripts in the same order."""
    pairs = zip(_row_groups(one, ["transcript_id"]), _row_groups(other, ["transcript_id"]), strict=True)
    return np.array_equal(group_starts(one), group_starts(other)) and all(
        np.array_equal(first["transcript_id"].to_numpy(), second["transcript_id"].to_numpy())
        for (_, first), (_, second) in pairs
    )


def count_statuses(table: Path) -> np.ndarray:
    """[3] input rows by `transcripts.STATUS`."""
    columns = (columns["status"].to_numpy() for _, columns in _row_groups(table, ["status"]))
    return np.sum([np.bincount(status, minlength=3) for status in columns], axis=0)


def count_features(table: Path, names: list[str]) -> int:
    """Input rows whose feature is one of the names."""
    found = 0
    for _, columns in _row_groups(table, ["feature"]):
        for part in columns["feature"].chunks:
            wanted = np.isin(np.array(part.dictionary.to_pylist(), object), names)
            found += int(wanted[part.indices.drop_null().to_numpy()].sum())
    return found


def _row_groups(table: Path, names: list[str]) -> Iterator[tuple[int, pa.Table]]:
    with pq.ParquetFile(table) as file:
        for group in range(file.num_row_groups):
            yield group, file.read_row_group(group, columns=names)
