"""Edges of the whole sample, made once: transcript to transcript, and transcript to candidate nuclei by view."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import FULL, ROWS_AT_ONCE, ArrayFile, Graph, View, load_graph, save_arrays
from ml_core.families.segger.geometry import Polygons, convex_hulls, inner_share, joined, shape_features
from ml_core.families.segger.nearest import nearest_by_chunk
from ml_core.families.segger.settings import GraphSettings
from ml_core.families.segger.sorting import sort_transcripts
from ml_core.families.segger.strips import strips_within
from ml_core.running import StageRun
from ml_core.summary import Summary

QUERIES_AT_ONCE = 500_000  # bounds the memory of the neighbour search: scipy returns float64 and int64


def build(run: StageRun) -> Summary:
    """Sort the kept transcripts, connect them, and find the candidates of each in every view."""
    settings: GraphSettings = run.settings
    source = run.inputs["transcripts"]
    nuclei = Polygons(np.load(source.path("nuclei_xy.npy")), np.load(source.path("nuclei_offsets.npy")))

    started, cpu_started = time.perf_counter(), time.process_time()
    chunks = sort_transcripts(source.path("transcripts.parquet"), run.directory, most=settings.chunk_transcripts)
    xy, nucleus = (np.load(run.directory / f"{name}.npy", mmap_mode="r") for name in ("xy", "nucleus"))
    _save_neighbours(run.directory, chunks=chunks, settings=settings)

    def save_view(name: str, *, polygons: Polygons, labelled: np.ndarray) -> None:
        counts = np.bincount(nucleus[labelled], minlength=len(polygons))
        _save_view(run.directory, name, polygons, chunks=chunks, labelled=labelled, counts=counts, settings=settings)

    save_view(FULL, polygons=nuclei, labelled=nucleus >= 0)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    for share in run.progress(settings.shrunken_shares, what="shrunken views"):
        labelled, polygons = shrink(
            nuclei, xy=xy, nucleus=nucleus, share=share, min_points=settings.min_transcripts_to_shrink
        )
        save_view(f"{share:.2f}", polygons=polygons, labelled=labelled)
    shutil.copy(source.path("genes.json"), run.directory / "genes.json")
    return _summary(run.directory, seconds=seconds, cpu_seconds=cpu_seconds)


def _save_neighbours(directory: Path, *, chunks: Chunks, settings: GraphSettings) -> None:
    n, most = int(chunks.starts[-1]), max(settings.k_tx, settings.k_context)
    near = ArrayFile.create(directory / "neighbours.npy", shape=(n, settings.k_tx), dtype=np.int32)
    around = ArrayFile.create(directory / "around.npy", shape=(n, settings.k_context), dtype=np.int32)
    places, halo_strips = ArrayFile.of(directory / "xy.npy"), strips_within(settings.dist_tx_um)
    for chunk in range(len(chunks)):
        owned, seen = chunks.rows(chunk), chunks.rows(chunk, halo_strips=halo_strips)
        found = nearest_neighbours(
            places.read(seen),
            k=most,
            max_distance_um=settings.dist_tx_um,
            workers=settings.workers,
            of=slice(owned.start - seen.start, owned.stop - seen.start),
        )
        found = np.where(found >= 0, found + np.int32(seen.start), found)
        near.write(owned.start, found[:, : settings.k_tx])
        around.write(owned.start, found[:, : settings.k_context])


def nearest_neighbours(
    xy: np.ndarray, *, k: int, max_distance_um: float, workers: int, of: slice = slice(None)
) -> np.ndarray:
    """The `k` nearest other points within the distance -> [r, k] int32, nearest first, then by index; -1 padded.

    Several points at one place are neighbours of each other, never of themselves. xy [n, 2] um; `of`: the r points
    whose neighbours are asked for, all by default.
    """
    points = xy.astype(np.float64)
    tree = cKDTree(points, leafsize=16, compact_nodes=False, balanced_tree=False)  # a third of the time to build
    limit = np.nextafter(max_distance_um, np.inf)  # scipy's bound excludes the bound itself
    start, stop, _ = of.indices(len(points))
    found = np.empty((stop - start, k), np.int32)
    for first in range(start, stop, QUERIES_AT_ONCE):
        own = np.arange(first, min(first + QUERIES_AT_ONCE, stop))
        # itself, k others, and one more to see a tie; by keywords: the third positional one is eps, an approximation
        here = slice(first, first + len(own))
        distance, index = tree.query(points[here], k=k + 2, distance_upper_bound=limit, workers=workers)
        _order_ties(index, distance, points=points, own=own, tree=tree)
        _drop_self(index, own=own)
        found[here.start - start : here.stop - start] = index[:, 1 : k + 1]
    found[found == len(points)] = -1
    return found


def _order_ties(index: np.ndarray, distance: np.ndarray, *, points: np.ndarray, own: np.ndarray, tree: cKDTree) -> None:
    """Put equally far points into the order of their index, in place: a tree's own order is that of its cuts.

    index and distance [r, k + 2]; where the last two are equally far, all that are so far compete.
    """
    tied = (distance[:, 1:] == distance[:, :-1]) & (distance[:, 1:] < np.inf)
    rows = np.unique(np.flatnonzero(tied) // tied.shape[1])
    order = np.lexsort((index[rows], distance[rows]), axis=1)
    index[rows] = np.take_along_axis(index[rows], order, axis=1)
    for row in np.flatnonzero(tied[:, -1]):
        place = points[own[row]]
        near = np.array(tree.query_ball_point(place, np.nextafter(distance[row, -1], np.inf)))
        away = ((points[near] - place) ** 2).sum(axis=1)
        index[row] = near[np.lexsort((near, away))][: index.shape[1]]


def _drop_self(index: np.ndarray, *, own: np.ndarray) -> None:
    """Let the others of each row [r, k + 2] begin at its second place, also where points at one place come first."""
    for row in np.flatnonzero(index[:, 0] != own):
        others = index[row][index[row] != own[row]]
        index[row, 1:] = others[: index.shape[1] - 1]


def shrink(
    nuclei: Polygons, *, xy: np.ndarray, nucleus: np.ndarray, share: float, min_points: int
) -> tuple[np.ndarray, Polygons]:
    """Nuclei as hulls of the inner `share` of their transcripts; those with fewer than `min_points` stay as they are.

    Returns labelled [n] bool (nuclear transcripts that are not held out) and the polygons [m].
    """
    m = len(nuclei)
    labelled = inner_share(xy, group=nucleus, groups=m, share=share, min_points=min_points)
    shrunk = np.flatnonzero(np.bincount(nucleus[nucleus >= 0], minlength=m) >= min_points)
    place = np.full(m + 1, -1)
    place[shrunk] = np.arange(len(shrunk))
    hulls = convex_hulls(xy, group=np.where(labelled, place[nucleus], -1), groups=len(shrunk))
    choice = np.arange(m)
    choice[shrunk] = m + np.arange(len(shrunk))
    return labelled, joined([nuclei, hulls]).take(choice)


def _save_view(
    directory: Path,
    name: str,
    polygons: Polygons,
    *,
    chunks: Chunks,
    labelled: np.ndarray,
    counts: np.ndarray,
    settings: GraphSettings,
) -> None:
    folder, shape = directory / "views" / name, (int(chunks.starts[-1]), settings.k_bd)
    candidates = ArrayFile.create(folder / "candidates.npy", shape=shape, dtype=np.int32)
    distance = ArrayFile.create(folder / "distance.npy", shape=shape, dtype=np.float32)
    places = ArrayFile.of(directory / "xy.npy")
    found = nearest_by_chunk(chunks, places, polygons=polygons, k=settings.k_bd, max_distance_um=settings.dist_bd_um)
    for chunk, (index, away) in enumerate(found):
        candidates.write(chunks.rows(chunk).start, index)
        distance.write(chunks.rows(chunk).start, away)
    save_arrays(
        folder,
        polygon_xy=polygons.xy,
        polygon_offsets=polygons.offsets,
        features=shape_features(polygons, transcripts=counts),
        centroids=polygons.centroids.astype(np.float32),
        labelled=labelled,
    )


def _summary(directory: Path, *, seconds: float, cpu_seconds: float) -> Summary:
    graph = load_graph(directory)
    full, n = graph.views[FULL], len(graph.rows)
    edges, candidates = (_count_there(array) for array in (graph.neighbours, full.candidates))
    per_transcript, reached = edges / n, _count_there(full.candidates[:, 0]) / n
    summary = Summary(
        headline=f"{n:,} transcripts with {per_transcript:.1f} neighbours each, {reached:.1%} of them near one of "
        f"{len(full.polygons):,} nuclei.",
        numbers={
            "graph.transcripts": n,
            "graph.nuclei": len(full.polygons),
            "graph.tx_tx_edges": edges,
            "graph.tx_bd_candidates": candidates,
            "graph.share_with_candidates": reached,
            "graph.seconds": seconds,
            "graph.cpu_seconds": cpu_seconds,
            "graph.transcripts_per_second": n / seconds,
            "graph.transcripts_per_cpu_second": n / cpu_seconds,
        },
        tables={"Views": [_view_row(graph, view) for view in graph.views.values()]},
    )
    summary.check("candidates", reached > 0.5, f"{reached:.1%} of the transcripts have a candidate nucleus")
    return summary


def _count_there(index: np.ndarray) -> int:
    """Entries that are not the -1 of "none", counted piece by piece."""
    starts = range(0, len(index), ROWS_AT_ONCE)
    return sum(int(np.count_nonzero(index[start : start + ROWS_AT_ONCE] >= 0)) for start in starts)


def _view_row(graph: Graph, view: View) -> dict[str, float | str | None]:
    held_out = graph.held_out(view.name)
    right = view.candidates[held_out] == graph.nucleus[held_out, None]
    any_held_out = bool(held_out.any())
    return {
        "view": view.name,
        "labelled": int(view.labelled.sum()),
        "held out": int(held_out.sum()),
        "nearest is its nucleus": float(right[:, 0].mean()) if any_held_out else None,
        "its nucleus is a candidate": float(right.any(axis=1).mean()) if any_held_out else None,
    }
