"""Edges of simulated samples beside scikit-learn and a loop over shapely's tree; neighbours alone on a million points.

Both sides must find the same edges: each transcript's neighbours and candidate nuclei at the same distances, for those
that are equally near may be told apart in another order. Ours are those of transcripts in sorted order, as the stage
writes them: how they compare is found out afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ml_core.artifacts import Store
from ml_core.bench.case import Request, Row
from ml_core.bench.turns import Contender, cheaper, join, take_turns
from ml_core.families.segger.family import FAMILY
from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.graph import nearest_neighbours
from ml_core.families.segger.nearest import nearest_of_sorted
from ml_core.families.segger.settings import GraphSettings
from ml_core.families.segger.strips import Strips
from ml_core.families.segger.transcripts import KEPT
from ml_core.running import run_stage

CELLS, QUICK_CELLS = (330, 3600), (24,)
ROUNDS_OF_LARGER = 2
POINTS, QUICK_POINTS = 1_000_000, 20_000
POINTS_PER_UM2 = 1.0
AGREEMENT_UM = 1e-3
LIMITS = GraphSettings()
Edges = tuple[np.ndarray, np.ndarray]  # distances to neighbours [n, k_tx] and to candidates [n, k_bd], um, inf padded


def rows(request: Request) -> list[Row]:
    sizes = QUICK_CELLS if request.quick else CELLS
    found = [
        row_of(cells, rounds=min(request.rounds, ROUNDS_OF_LARGER) if number else request.rounds)
        for number, cells in enumerate(sizes)
    ]
    count = QUICK_POINTS if request.quick else POINTS
    sorted_, unsorted = take_turns(
        [Contender("ml_core", sorted_of, (count,)), Contender("unsorted cKDTree", unsorted_of, (count,))],
        rounds=request.rounds,
    )
    assert sorted_.answers[0] == unsorted.answers[0], "the sides find different numbers of neighbours"
    what = f"{LIMITS.k_tx} neighbours of {count:,} points within {LIMITS.dist_tx_um:g} um, sorting included"
    found.append(cheaper(what, sorted_, unsorted, least=2))
    return found


def row_of(cells: int, *, rounds: int) -> Row:
    """The row of a sample of so many cells."""
    xy, polygons = sample(cells)
    ours, loop = take_turns(
        [
            Contender("ml_core", ours_of, (xy, polygons)),
            Contender("scikit-learn, shapely", loop_of, (xy, polygons)),
        ],
        rounds=rounds,
    )
    order, near, distance = ours.answers[0]
    step = np.linalg.norm(xy[order][near].astype(np.float64) - xy[order][:, None], axis=2)
    for what, left, right in zip(
        ("neighbours", "candidates"), (np.where(near >= 0, step, np.inf), distance), loop.answers[0], strict=True
    ):
        np.testing.assert_allclose(left, right[order], rtol=0, atol=AGREEMENT_UM, err_msg=what)
    edges = int((near >= 0).sum() + np.isfinite(distance).sum())
    what = f"graph of {len(xy):,} transcripts and {len(polygons):,} nuclei, {edges:,} edges"
    return cheaper(
        what,
        ours,
        loop,
        least=10,
        note=join(f"{len(ours.cpu)} rounds" if rounds == ROUNDS_OF_LARGER else "", "the same edges"),
    )


def sample(cells: int) -> tuple[np.ndarray, Polygons]:
    """Kept transcripts [n, 2] um and nuclei of a simulated sample."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for name, given in (("raw", {"cells": cells, "preset": "hard"}), ("transcripts", {})):
            stage = FAMILY[name]
            artifact = run_stage(FAMILY, stage, settings=stage.settings(**given), store=store).artifact
        table = pq.read_table(artifact.path("transcripts.parquet"), columns=["x_um", "y_um", "status"])
        kept = table["status"].to_numpy() == KEPT
        xy = np.stack([table[name].to_numpy()[kept] for name in ("x_um", "y_um")], axis=1)
        return xy, Polygons(np.load(artifact.path("nuclei_xy.npy")), np.load(artifact.path("nuclei_offsets.npy")))


def ours_of(xy: np.ndarray, polygons: Polygons) -> Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Order of the sorted transcripts [n], their neighbours [n, k_tx] and the distances to candidates [n, k_bd] um."""

    def find() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        strips = Strips.of(xy)
        near = nearest_neighbours(xy[strips.order], k=LIMITS.k_tx, max_distance_um=LIMITS.dist_tx_um, workers=1)
        fresh = Polygons(polygons.xy, polygons.offsets)  # which has not kept anything of the last round
        _, distance = nearest_of_sorted(strips, polygons=fresh, k=LIMITS.k_bd, max_distance_um=LIMITS.dist_bd_um)
        return strips.order, near, distance

    return find


def loop_of(xy: np.ndarray, polygons: Polygons) -> Callable[[], Edges]:
    import shapely
    from sklearn.neighbors import NearestNeighbors

    shapes = [shapely.Polygon(ring) for ring in np.split(polygons.xy.astype(np.float64), polygons.offsets[1:-1])]
    points = xy.astype(np.float64)

    def find() -> Edges:
        step, _ = NearestNeighbors(n_neighbors=LIMITS.k_tx + 1).fit(points).kneighbors(points)
        tree = shapely.STRtree(shapes)
        found = np.full((len(points), LIMITS.k_bd), np.inf)
        for row, place in enumerate(points):
            point = shapely.Point(place)
            near = tree.query(point, predicate="dwithin", distance=LIMITS.dist_bd_um)
            distance = sorted(shapes[nucleus].distance(point) for nucleus in near)[: LIMITS.k_bd]
            found[row, : len(distance)] = distance
        return np.where(step[:, 1:] <= LIMITS.dist_tx_um, step[:, 1:], np.inf), found

    return find


def scattered(count: int) -> np.ndarray:
    """Points [count, 2] um at random in a square."""
    side = np.sqrt(count / POINTS_PER_UM2)
    return np.random.default_rng(0).uniform(0, side, (count, 2)).astype(np.float32)


def sorted_of(count: int) -> Callable[[], int]:
    points = scattered(count)

    def find() -> int:
        strips = Strips.of(points)
        near = nearest_neighbours(points[strips.order], k=LIMITS.k_tx, max_distance_um=LIMITS.dist_tx_um, workers=1)
        return int((near >= 0).sum())

    return find


def unsorted_of(count: int) -> Callable[[], int]:
    from scipy.spatial import cKDTree

    points = scattered(count).astype(np.float64)

    def find() -> int:
        distance, _ = cKDTree(points).query(points, k=LIMITS.k_tx + 1, distance_upper_bound=LIMITS.dist_tx_um)
        return int(np.isfinite(distance[:, 1:]).sum())

    return find
