"""Edges of the whole sample, made once: transcript to transcript, and transcript to candidate nuclei by view."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.spatial import cKDTree

from ml_core.families.segger.data import FULL, Graph, View, load_graph, save_arrays
from ml_core.families.segger.geometry import Polygons, convex_hulls, inner_share, shape_features
from ml_core.families.segger.nearest import nearest_polygons
from ml_core.families.segger.settings import GraphSettings
from ml_core.families.segger.strips import Strips
from ml_core.families.segger.transcripts import KEPT
from ml_core.running import StageRun
from ml_core.summary import Summary

ROWS_AT_ONCE = 500_000  # bounds the memory of the neighbour search: scipy returns float64 and int64


def build(run: StageRun) -> Summary:
    """Sort the kept transcripts, connect them, and find the candidates of each in every view."""
    settings: GraphSettings = run.settings
    source = run.inputs["transcripts"]
    table = pq.read_table(
        source.path("transcripts.parquet"), columns=["x_um", "y_um", "z_um", "gene", "status", "nucleus"]
    )
    column = {name: table[name].to_numpy() for name in table.column_names}
    nuclei = Polygons(np.load(source.path("nuclei_xy.npy")), np.load(source.path("nuclei_offsets.npy")))

    started, cpu_started = time.perf_counter(), time.process_time()
    kept = np.flatnonzero(column["status"] == KEPT)
    points = np.stack([column["x_um"][kept], column["y_um"][kept]], axis=1)
    strips = Strips.of(points)
    rows = kept[strips.order]
    xy, nucleus, strips = points[strips.order], column["nucleus"][rows], strips.as_sorted()
    around = nearest_neighbours(
        xy, k=max(settings.k_tx, settings.k_context), max_distance_um=settings.dist_tx_um, workers=settings.workers
    )
    neighbours, around = around[:, : settings.k_tx], around[:, : settings.k_context]
    arrays = {"rows": rows, "xy": xy, "z": column["z_um"][rows], "gene": column["gene"][rows]}
    save_arrays(run.directory, **arrays, nucleus=nucleus, neighbours=neighbours, around=around)

    def save_view(name: str, *, polygons: Polygons, labelled: np.ndarray) -> None:
        found = nearest_polygons(
            xy, polygons=polygons, k=settings.k_bd, max_distance_um=settings.dist_bd_um, strips=strips
        )
        counts = np.bincount(nucleus[labelled], minlength=len(polygons))
        _save_view(run.directory / "views" / name, polygons, found=found, labelled=labelled, counts=counts)

    save_view(FULL, polygons=nuclei, labelled=nucleus >= 0)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    for share in run.progress(settings.shrunken_shares, what="shrunken views"):
        labelled, polygons = shrink(
            nuclei, xy=xy, nucleus=nucleus, share=share, min_points=settings.min_transcripts_to_shrink
        )
        save_view(f"{share:.2f}", polygons=polygons, labelled=labelled)
    shutil.copy(source.path("genes.json"), run.directory / "genes.json")
    return _summary(run.directory, seconds=seconds, cpu_seconds=cpu_seconds)


def nearest_neighbours(xy: np.ndarray, *, k: int, max_distance_um: float, workers: int) -> np.ndarray:
    """The `k` nearest other points within the distance -> [n, k] int32, nearest first, -1 padded.

    Several points at one place are neighbours of each other, never of themselves. xy [n, 2] um.
    """
    points = xy.astype(np.float64)
    tree = cKDTree(points, leafsize=8)
    limit = np.nextafter(max_distance_um, np.inf)  # scipy's bound excludes the bound itself
    found = np.empty((len(points), k), np.int32)
    for first in range(0, len(points), ROWS_AT_ONCE):
        part = points[first : first + ROWS_AT_ONCE]
        # keyword arguments: the third positional one is eps, an approximation
        _, index = tree.query(part, k=k + 1, distance_upper_bound=limit, workers=workers)
        found[first : first + len(part)] = _without_self(index, own=np.arange(first, first + len(part)))
    return np.where(found == len(points), -1, found)


def _without_self(index: np.ndarray, *, own: np.ndarray) -> np.ndarray:
    """Drop from each row [n, k + 1] the point itself, or the last entry where points at one place crowded it out."""
    rest = index[:, 1:].copy()
    for row in np.flatnonzero(index[:, 0] != own):
        others = index[row][index[row] != own[row]]
        rest[row] = others[: rest.shape[1]]
    return rest


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
    return labelled, nuclei.joined_with(hulls).take(choice)


def _save_view(
    directory: Path,
    polygons: Polygons,
    *,
    found: tuple[np.ndarray, np.ndarray],
    labelled: np.ndarray,
    counts: np.ndarray,
) -> None:
    save_arrays(
        directory,
        polygon_xy=polygons.xy,
        polygon_offsets=polygons.offsets,
        features=shape_features(polygons, transcripts=counts),
        centroids=polygons.centroids.astype(np.float32),
        candidates=found[0],
        distance=found[1],
        labelled=labelled,
    )


def _summary(directory: Path, *, seconds: float, cpu_seconds: float) -> Summary:
    graph = load_graph(directory)
    full, n = graph.views[FULL], len(graph.rows)
    per_transcript = float((graph.neighbours >= 0).sum(axis=1).mean())
    reached = float((full.candidates[:, 0] >= 0).mean())
    summary = Summary(
        headline=f"{n:,} transcripts with {per_transcript:.1f} neighbours each, {reached:.1%} of them near one of "
        f"{len(full.polygons):,} nuclei.",
        numbers={
            "graph.transcripts": n,
            "graph.nuclei": len(full.polygons),
            "graph.tx_tx_edges": int((graph.neighbours >= 0).sum()),
            "graph.tx_bd_candidates": int((full.candidates >= 0).sum()),
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
