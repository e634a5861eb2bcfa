"""Which nuclei a sample has, what shape they have, and which transcripts lie in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.errors import UserError
from ml_core.families.segger.geometry import Polygons, convex_hulls
from ml_core.families.segger.nearest import nearest_polygons
from ml_core.families.segger.readers.sample import Boundaries, Sample


@dataclass(frozen=True)
class Nuclei:
    """`m` nuclei in the order of their ids.

    source: "nucleus_polygons", "cell_polygons" (a platform without nuclei) or "derived_hull".
    **Shapes**: ids [m], polygons [m], of [n] int32: the nucleus in which each transcript lies (-1 none).
    """

    ids: list[str]
    polygons: Polygons
    of: np.ndarray
    source: str


def nuclei_of(sample: Sample, *, kept: np.ndarray, shape: str, min_transcripts: int) -> Nuclei:
    """Nuclei from polygons where `shape` is "polygons" (or "auto" and there are any), else hulls of `kept` ones.

    Raises UserError where the sample has neither, or where polygons and transcripts do not overlap.
    """
    boundaries = sample.boundaries
    if boundaries is not None and shape != "derived_hull":
        _refuse_apart(sample, boundaries)
        return Nuclei(boundaries.ids, boundaries.polygons, _held(sample, boundaries), f"{boundaries.kind}_polygons")
    if shape == "polygons":
        raise UserError(
            "nuclei: polygons are asked for, but the sample has no boundaries file; set raw.nucleus_boundaries, or "
            "nuclei: auto."
        )
    if sample.cell is None or sample.in_nucleus is None:
        raise UserError(
            f"transcripts of {sample.platform}: neither boundaries nor the columns that say which transcripts are "
            "nuclear are there "
            f"(found {', '.join(sample.schema)}); give a boundaries file in raw.nucleus_boundaries or "
            "raw.cell_boundaries."
        )
    return _derived(sample, kept=kept, min_transcripts=min_transcripts)


def places_in(wanted: list[str], ids: list[str]) -> np.ndarray:
    """[wanted] place of each id in `ids` (-1 where it is not there), with one -1 more for code -1."""
    place = {name: index for index, name in enumerate(ids)}
    return np.array([*(place.get(name, -1) for name in wanted), -1], np.int32)


def _held(sample: Sample, boundaries: Boundaries) -> np.ndarray:
    """The vendor's word where there is one (its image is finer than the polygons), else the polygon that holds it."""
    if boundaries.kind == "nucleus" and sample.cell is not None and sample.in_nucleus is not None:
        return np.where(sample.in_nucleus, places_in(sample.cells, boundaries.ids)[sample.cell], -1).astype(np.int32)
    return nearest_polygons(sample.xy, polygons=boundaries.polygons, k=1, max_distance_um=0.0)[0][:, 0]


def _derived(sample: Sample, *, kept: np.ndarray, min_transcripts: int) -> Nuclei:
    assert sample.cell is not None
    assert sample.in_nucleus is not None
    nuclear = np.where(sample.in_nucleus & kept, sample.cell, -1)
    counts = np.bincount(nuclear[nuclear >= 0], minlength=len(sample.cells))
    large = np.flatnonzero(counts >= min_transcripts)
    if not len(large):
        raise UserError(
            f"transcripts: no cell has {min_transcripts} nuclear transcripts, so that no nucleus can be derived; "
            "give a boundaries file in raw.nucleus_boundaries, or lower min_qv."
        )
    ids = [sample.cells[cell] for cell in large]
    of = np.where(sample.in_nucleus, places_in(sample.cells, ids)[sample.cell], -1).astype(np.int32)
    polygons = convex_hulls(sample.xy, group=np.where(kept, of, -1), groups=len(ids))
    return Nuclei(ids, polygons, of, "derived_hull")


def _refuse_apart(sample: Sample, boundaries: Boundaries) -> None:
    low, high = boundaries.polygons.xy.min(0), boundaries.polygons.xy.max(0)
    first, last = sample.xy.min(0), sample.xy.max(0)
    if np.any(low > last) or np.any(high < first):
        raise UserError(
            f"boundaries lie at x {low[0]:.0f}..{high[0]:.0f}, y {low[1]:.0f}..{high[1]:.0f} um, transcripts at "
            f"x {first[0]:.0f}..{last[0]:.0f}, y {first[1]:.0f}..{last[1]:.0f} um: they do not overlap; give files of "
            "one sample in one unit (um), or set raw.negate_boundary_y where the y axes point in opposite directions."
        )
