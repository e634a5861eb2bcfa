"""The kept transcripts sorted along strips on disk: dealt out to chunks, then sorted chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ml_core.families.segger.buckets import Buckets
from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import ROWS_AT_ONCE
from ml_core.families.segger.strips import by_strip_and_y, strip_of
from ml_core.families.segger.transcripts import KEPT

PLACE = ("x_um", "y_um")
COLUMNS = {"z": "z_um", "gene": "gene", "nucleus": "nucleus"}  # of the graph -> of transcripts.parquet


def sort_transcripts(table: Path, directory: Path, *, most: int) -> Chunks:
    """Write the kept rows of transcripts.parquet, sorted by strip and then by y, as rows, xy, z, gene and nucleus.

    Equal places keep their order. Memory is that of a piece of the table and of one chunk: the rows are dealt out to
    the chunks' places in the files first, and each chunk is sorted there.
    """
    left_um = min(float(xy[:, 0].min(initial=np.inf)) for xy in _places(table))
    sizes = np.zeros(0, np.int64)
    for xy in _places(table):
        counts = np.bincount(strip_of(xy, left_um=left_um), minlength=len(sizes))
        counts[: len(sizes)] += sizes
        sizes = counts
    chunks = Chunks.of(sizes, left_um=left_um, most=most)
    buckets = Buckets(directory, sizes=np.add.reduceat(sizes, chunks.borders[:-1]))
    chunk_of_strip = np.repeat(np.arange(len(chunks)), np.diff(chunks.borders))
    for rows, columns in _kept(table, names=[*PLACE, *COLUMNS.values()]):
        xy = _stacked(columns)
        others = {name: columns[source] for name, source in COLUMNS.items()}
        buckets.deal(chunk_of_strip[strip_of(xy, left_um=left_um)], rows=rows, xy=xy, **others)
    for chunk in range(len(chunks)):
        mine = buckets.read(chunk)
        order = by_strip_and_y(strip_of(mine["xy"], left_um=left_um), mine["xy"][:, 1])
        buckets.write(chunk, **{name: values[order] for name, values in mine.items()})
    return chunks


def _places(table: Path) -> Iterator[np.ndarray]:
    """The places of the kept transcripts piece by piece, [rows, 2] float32 um."""
    return (_stacked(columns) for _, columns in _kept(table, names=PLACE))


def _kept(table: Path, *, names: Sequence[str]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Piece by piece, rows [r] int64 of the table that are kept, and their columns."""
    start = 0
    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[*names, "status"]):
            kept = np.flatnonzero(batch["status"].to_numpy() == KEPT)
            yield start + kept, {name: batch[name].to_numpy()[kept] for name in names}
            start += len(batch)


def _stacked(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([columns[name] for name in PLACE], axis=1)
