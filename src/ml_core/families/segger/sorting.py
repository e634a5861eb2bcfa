"""The kept transcripts sorted along strips on disk: dealt out to chunks, then sorted chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import ArrayFile
from ml_core.families.segger.strips import strip_of
from ml_core.families.segger.transcripts import KEPT

ROWS_AT_ONCE = 1 << 20
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
    files = _deal_out(table, directory, chunks=chunks)
    for chunk in range(len(chunks)):
        place = chunks.rows(chunk)
        mine = {name: file.read(place) for name, file in files.items()}
        order = np.lexsort((mine["xy"][:, 1], strip_of(mine["xy"], left_um=left_um)))
        for name, values in mine.items():
            files[name].write(place.start, values[order])
    return chunks


def _deal_out(table: Path, directory: Path, *, chunks: Chunks) -> dict[str, ArrayFile]:
    """Write every kept row into its chunk's part of the files, there in input order."""
    n = int(chunks.starts[-1])
    chunk_of_strip = np.repeat(np.arange(len(chunks)), np.diff(chunks.borders))
    free = [chunks.rows(chunk).start for chunk in range(len(chunks))]
    files: dict[str, ArrayFile] = {}
    for rows, columns in _kept(table, names=[*PLACE, *COLUMNS.values()]):
        xy = _stacked(columns)
        arrays = {"rows": rows, "xy": xy, **{name: columns[source] for name, source in COLUMNS.items()}}
        for name in arrays.keys() - files.keys():
            shape = (n, *arrays[name].shape[1:])
            files[name] = ArrayFile.create(directory / f"{name}.npy", shape=shape, dtype=arrays[name].dtype)
        chunk = chunk_of_strip[strip_of(xy, left_um=chunks.left_um)]
        order = np.argsort(chunk, kind="stable")
        ends = np.searchsorted(chunk[order], np.arange(len(chunks)), side="right")
        for number, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
            if end > start:
                for name, values in arrays.items():
                    files[name].write(free[number], values[order[start:end]])
                free[number] += end - start
    return files


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
