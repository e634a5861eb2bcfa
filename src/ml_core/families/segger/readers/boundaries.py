"""Polygons from a table of vertices: those of one polygon stand in contiguous rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.errors import UserError
from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.readers.columns import NOBODY, Columns, read_columns
from ml_core.families.segger.readers.sample import Boundaries


def read_vertices(
    path: Path, *, cell: str, x: str, y: str, kind: str, part: str | None = None, negate_y: bool = False
) -> Boundaries:
    """One polygon per cell from the columns `cell`, `x` and `y` (um); a change of `part` also starts a new polygon.

    Where a cell has several polygons the largest is kept. Raises UserError for polygons with fewer than 3 points.
    """
    columns = read_columns(path, required=(cell, x, y), optional=(part,) if part else (), text=(cell,))
    code, ids = columns.codes(cell, nobody=NOBODY)
    xy = np.stack([columns.numbers(x), columns.numbers(y) * (-1 if negate_y else 1)], axis=1)
    starts = _starts(columns, code, part=part)
    polygons = _without_closing_vertices(xy, starts)
    _refuse_too_few(polygons, starts, path=path, names=[ids[c] if c >= 0 else "" for c in code[starts].tolist()])
    return largest_per_cell(polygons, of=code[starts], ids=ids, kind=kind)


def largest_per_cell(polygons: Polygons, *, of: np.ndarray, ids: list[str], kind: str) -> Boundaries:
    """Keep the largest polygon of each cell; `of` [polygons] is the cell's place in `ids`, -1 for nobody's polygon."""
    order = np.lexsort((-polygons.areas, of))
    first = np.append(True, of[order][1:] != of[order][:-1]) & (of[order] >= 0)
    keep = order[first]
    return Boundaries(
        [ids[code] for code in of[keep].tolist()], polygons.take(keep), kind, dropped=len(polygons) - len(keep)
    )


def _starts(columns: Columns, code: np.ndarray, *, part: str | None) -> np.ndarray:
    """[polygons] first row of each polygon."""
    change = code[1:] != code[:-1]
    if part and part in columns:
        label = columns.codes(part)[0]
        change |= label[1:] != label[:-1]
    return np.flatnonzero(np.append(True, change))


def _without_closing_vertices(xy: np.ndarray, starts: np.ndarray) -> Polygons:
    """Rings that repeat their first vertex at their end lose that repetition."""
    ends = np.append(starts[1:], len(xy)) - 1
    keep = np.ones(len(xy), bool)
    keep[ends[np.all(xy[starts] == xy[ends], axis=1) & (ends > starts)]] = False
    sizes = np.add.reduceat(keep, starts)
    return Polygons(xy[keep].astype(np.float32), np.concatenate([[0], np.cumsum(sizes)]))


def _refuse_too_few(polygons: Polygons, starts: np.ndarray, *, path: Path, names: list[str]) -> None:
    small = np.flatnonzero(np.diff(polygons.offsets) < 3)
    if len(small):
        raise UserError(
            f"{path}: the polygon of cell '{names[small[0]]}' (data row {starts[small[0]] + 1}) has fewer than 3 "
            "different points, as have "
            f"{len(small) - 1:,} others; expected closed rings in contiguous rows; sort the rows by cell, or remove "
            "these polygons."
        )
