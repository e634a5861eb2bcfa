"""Polygons of predicted cells from the transcripts that were assigned to them."""

from __future__ import annotations

import numpy as np
import shapely

CONCAVE_RATIO = 0.35  # GEOS: 0 is the tightest outline, 1 the convex hull
MIN_TRANSCRIPTS = 3


def cell_outlines(xy: np.ndarray, *, cell: np.ndarray, cells: int, concave: bool = True) -> np.ndarray:
    """One shapely polygon per cell, or None where its transcripts span no area.

    **Shapes**: xy [n, 2] um; cell [n] int in 0..cells-1, -1 for none -> [cells] object.
    """
    rows = np.flatnonzero(cell >= 0)
    rows = rows[np.argsort(cell[rows], kind="stable")]
    sizes = np.bincount(cell[rows], minlength=cells)
    outlines = np.full(cells, None, dtype=object)
    large = np.flatnonzero(sizes >= MIN_TRANSCRIPTS)
    if not len(large):
        return outlines
    place = np.full(cells, -1)
    place[large] = np.arange(len(large))
    used = rows[place[cell[rows]] >= 0]
    clouds = shapely.multipoints(shapely.points(xy[used].astype(np.float64)), indices=place[cell[used]])
    hulls = shapely.concave_hull(clouds, ratio=CONCAVE_RATIO) if concave else shapely.convex_hull(clouds)
    proper = shapely.get_type_id(hulls) == shapely.GeometryType.POLYGON
    outlines[large[proper]] = hulls[proper]
    return outlines
