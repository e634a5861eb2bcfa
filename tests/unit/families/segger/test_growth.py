"""What a stage holds grows by a few bytes for each transcript, whatever it does with them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_core.families.segger import assign, graph, sorting
from ml_core.families.segger.data import FULL, Graph, View
from ml_core.families.segger.fragments import fragments_of
from ml_core.families.segger.geometry import convex_hulls
from ml_core.families.segger.nearest import nearest_by_chunk
from ml_core.families.segger.settings import GraphSettings

PIECE = 5_000


def peak_bytes(work: Callable[[], object]) -> int:
    """Most that numpy and Python hold at a time while it works."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def places(n: int) -> np.ndarray:
    """n points, 0.3 in each um2, in a band 500 um high that grows to the right: [n, 2] float32 um."""
    return np.random.default_rng(0).uniform([0, 0], [n / 0.3 / 500, 500], (n, 2)).astype(np.float32)


def connect(folder: Path, n: int, *, chunk_transcripts: int) -> int:
    folder.mkdir()
    xy, table = places(n), folder / "transcripts.parquet"
    columns = {"x_um": xy[:, 0], "y_um": xy[:, 1], "z_um": xy[:, 0], "status": np.zeros(n, np.int8)}
    whole_numbers = {name: np.zeros(n, np.int32) for name in ("gene", "nucleus")}
    pq.write_table(pa.table({**columns, **whole_numbers}), table, row_group_size=PIECE)
    centres = np.repeat(xy[::100], 6, axis=0)
    corners = centres + np.random.default_rng(1).normal(0, 3, centres.shape)
    nuclei = convex_hulls(corners.astype(np.float32), group=np.arange(len(corners)) // 6, groups=len(xy[::100]))
    settings = GraphSettings(chunk_transcripts=chunk_transcripts, workers=1)
    del xy, columns, whole_numbers, centres, corners

    def work() -> None:
        chunks = sorting.sort_transcripts(table, folder, most=chunk_transcripts)
        graph._save_neighbours(folder, chunks=chunks, settings=settings)
        sorted_places = graph.ArrayFile.of(folder / "xy.npy")
        for _ in nearest_by_chunk(chunks, sorted_places, polygons=nuclei, k=4, max_distance_um=15.0):
            pass

    return peak_bytes(work)


def test_sorting_and_connecting_hold_a_chunk_whatever_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "ROWS_AT_ONCE", PIECE)
    small, large = 20_000, 80_000
    at = {
        (n, most): connect(tmp_path / f"{n}-{most}", n, chunk_transcripts=most)
        for n in (small, large)
        for most in (PIECE, 10 * large)
    }
    per_transcript = {most: (at[large, most] - at[small, most]) / (large - small) for most in (PIECE, 10 * large)}
    assert per_transcript[PIECE] < 20
    assert per_transcript[10 * large] > 100, "without chunks it grows, so that this test sees something"


def assign_all(folder: Path, n: int) -> int:
    """Scores of n transcripts, four candidates each or none, to a segmentation."""
    scores, scratch, table = folder / "scores", folder / "scratch", folder / "transcripts.parquet"
    scores.mkdir(parents=True)
    scratch.mkdir()
    rng, xy = np.random.default_rng(0), places(n)
    columns = {"x_um": xy[:, 0], "y_um": xy[:, 1], "transcript_id": np.arange(n), "gene": np.zeros(n, np.int32)}
    pq.write_table(pa.table(columns), table, row_group_size=PIECE)
    candidates = np.repeat(rng.integers(0, 300, (n, 1), dtype=np.int32), 4, axis=1)
    candidates[rng.random(n) < 0.1] = -1
    arrays = {
        "rows": rng.permutation(n),
        "candidates": candidates,
        "neighbours": ((np.arange(n)[:, None] + np.arange(1, 6)) % n).astype(np.int32),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    for name in ("chance", "fit"):
        np.save(scores / f"{name}.npy", rng.random((n, 4), np.float32))
    del xy, columns, candidates, arrays
    mapped = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("rows", "candidates", "neighbours")}
    nothing = np.zeros(0)
    view = View(FULL, None, nothing, nothing, mapped["candidates"], nothing, nothing)
    seen = Graph(mapped["rows"], *[nothing] * 4, mapped["neighbours"], nothing, genes=["A"], views={FULL: view})

    def work() -> None:
        made = {"scratch": scratch, "at_once": PIECE}
        alone = assign.choose_all(seen, scores, **made, cut=0.5, plausible=False)
        fragment = fragments_of(seen.neighbours, alone=alone, least=9, at_once=PIECE)
        names = [f"cell-{number}" for number in range(300 + int(fragment.max()) + 1)]
        found = assign.deal_out(seen, scores, **made, table=table, fragment=fragment, cell_ids=names, nuclei=300)
        assert sum(len(rows.cell) for rows in found.rows()) == n

    return peak_bytes(work)


def test_assigning_holds_a_flag_and_a_number_of_each_transcript(tmp_path: Path) -> None:
    small, large = 20_000, 120_000
    grown = assign_all(tmp_path / "large", large) - assign_all(tmp_path / "small", small)
    assert grown / (large - small) < 20
