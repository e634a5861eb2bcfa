"""Tiles of equal budget by k-d cuts; each transcript is owned by exactly one tile and seen by those near it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml_core.errors import UserError
from ml_core.families.segger.data import Tiles, load_graph, save_arrays
from ml_core.families.segger.settings import TilesSettings
from ml_core.running import StageRun
from ml_core.summary import Summary

ROUNDING_UM = 0.01  # more than a float32 of a slide's size is off by


def build(run: StageRun) -> Summary:
    """Cut the sample into tiles and list what each owns and what it sees beyond."""
    settings: TilesSettings = run.settings
    xy = np.asarray(load_graph(run.inputs["graph"].directory).xy)
    started, cpu_started = time.perf_counter(), time.process_time()
    count = max(settings.min_tiles, -(-len(xy) // settings.transcripts_per_tile))
    if count > len(xy):
        raise UserError(
            f"tiles: {len(xy):,} transcripts cannot be cut into {count} tiles; lower tiles.min_tiles or give a "
            "larger sample."
        )
    tiles = cut_into_tiles(xy, count=count, halo_um=settings.halo_um)
    save_arrays(run.directory, **vars(tiles))
    return _summary(tiles, seconds=time.perf_counter() - started, cpu_seconds=time.process_time() - cpu_started)


def cut_into_tiles(xy: np.ndarray, *, count: int, halo_um: float) -> Tiles:
    """`count` tiles with equal numbers of transcripts (to within one), in the order of the k-d cuts.

    halo_um: a transcript is in a tile's halo when it is at most so far from the bounding box of the owned. xy [n, 2]
    um.
    """
    low, high = xy.min(axis=0), xy.max(axis=0)
    whole = Branch(np.arange(len(xy), dtype=np.int32), np.zeros(0, np.int32), np.concatenate([low, high]))
    leaves = list(_leaves(whole, xy=xy, count=count, halo_um=halo_um))
    owned, halo = [leaf.owned for leaf in leaves], [np.sort(leaf.around) for leaf in leaves]
    boxes = [np.concatenate([xy[rows].min(axis=0), xy[rows].max(axis=0)]) for rows in owned]
    return Tiles(
        np.concatenate(owned), _offsets(owned), np.concatenate(halo), _offsets(halo),
        np.stack(boxes).astype(np.float32), np.stack([leaf.region for leaf in leaves]).astype(np.float32),
    )  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """A part of the plane: the transcripts in it, those around it, and its rectangle [4] (as in `Tiles.regions`)."""

    owned: np.ndarray
    around: np.ndarray
    region: np.ndarray


def _leaves(branch: Branch, *, xy: np.ndarray, count: int, halo_um: float) -> Iterator[Branch]:
    if count == 1:
        yield branch
        return
    first = count // 2
    for half, leaves in zip(
        _halves(branch, xy=xy, share=first / count, halo_um=halo_um), (first, count - first), strict=True
    ):
        yield from _leaves(half, xy=xy, count=leaves, halo_um=halo_um)


def _halves(branch: Branch, *, xy: np.ndarray, share: float, halo_um: float) -> tuple[Branch, Branch]:
    """Cut across the longer side, `share` of the transcripts to the first half; ties go by index on every machine."""
    points = xy[branch.owned]
    axis = int(np.argmax(points.max(axis=0) - points.min(axis=0)))
    along = points[:, axis]
    size = round(len(along) * share)
    value = np.partition(along, size)[size]
    before = along < value
    ties = np.flatnonzero(along == value)
    before[ties[: size - int(before.sum())]] = True
    regions = branch.region.copy(), branch.region.copy()
    regions[0][2 + axis] = regions[1][axis] = value
    inside = [(branch.owned[which], points[which]) for which in (before, ~before)]
    around = [
        _near(branch.around, xy=xy, other=other, owned=own[1], axis=axis, halo_um=halo_um)
        for own, other in (inside, inside[::-1])
    ]
    return Branch(inside[0][0], around[0], regions[0]), Branch(inside[1][0], around[1], regions[1])


def _near(
    around: np.ndarray,
    *,
    xy: np.ndarray,
    other: tuple[np.ndarray, np.ndarray],
    owned: np.ndarray,
    axis: int,
    halo_um: float,
) -> np.ndarray:
    """Of `around` and of the other half (its rows and their places) those near the box of the `owned` places [n, 2]."""
    low, high = owned.min(axis=0), owned.max(axis=0)
    along = other[1][:, axis]
    reach = halo_um + ROUNDING_UM  # of most of the other half this one comparison is enough
    rows = np.concatenate([around, other[0][(along >= low[axis] - reach) & (along <= high[axis] + reach)]])
    points = xy[rows]
    gap = np.maximum(np.maximum(low - points, points - high), 0)
    return rows[(gap * gap).sum(axis=1) <= halo_um * halo_um]


def _offsets(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)


def _summary(tiles: Tiles, *, seconds: float, cpu_seconds: float) -> Summary:
    n, sizes = len(tiles.owned), np.diff(tiles.owned_offsets)
    overlap = (n + len(tiles.halo)) / n
    owners = np.bincount(tiles.owned, minlength=n)
    summary = Summary(
        headline=f"{len(tiles):,} tiles of {sizes.min():,} to {sizes.max():,} transcripts; each is seen "
        f"{overlap:.2f} times.",
        numbers={
            "tiles.count": len(tiles),
            "tiles.smallest": int(sizes.min()),
            "tiles.largest": int(sizes.max()),
            "tiles.tile_overlap": overlap,
            "tiles.seconds": seconds,
            "tiles.cpu_seconds": cpu_seconds,
            "tiles.transcripts_per_cpu_second": n / cpu_seconds,
        },
    )
    summary.check(
        "owned_once",
        bool(np.all(owners == 1)),
        f"{int((owners != 1).sum()):,} of {n:,} transcripts are not owned exactly once",
    )
    return summary
