"""Vizgen MERSCOPE: detected_transcripts.csv, with cell boundaries as vertices (x, y, poly_ID) or as WKB geometries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from ml_core.errors import UserError
from ml_core.families.segger.geometry import from_shapely
from ml_core.families.segger.readers.boundaries import largest_per_cell, read_vertices
from ml_core.families.segger.readers.columns import NOBODY, column_names, read_columns
from ml_core.families.segger.readers.sample import Boundaries, Sample

REQUIRED = ("gene", "global_x", "global_y")
OPTIONAL = ("transcript_id", "global_z", "cell_id")


def read(transcripts: Path, *, boundaries: Path | None = None, negate_boundary_y: bool = False) -> Sample:
    """A MERSCOPE sample. There is no qv; `cell_id` stands there in newer exports only."""
    columns = read_columns(transcripts, required=REQUIRED, optional=OPTIONAL, text=("gene", "cell_id"))
    feature, features = columns.codes("gene")
    cell, cells = columns.codes("cell_id", nobody=NOBODY) if "cell_id" in columns else (None, [])
    return Sample(
        platform="merscope",
        transcript_id=columns.identifiers("transcript_id") if "transcript_id" in columns else np.arange(len(columns)),
        xy=columns.points("global_x", "global_y"),
        z=columns.numbers("global_z", np.float32) if "global_z" in columns else np.zeros(len(columns), np.float32),
        feature=feature,
        features=features,
        cell=cell,
        cells=cells,
        boundaries=_boundaries(boundaries, negate_y=negate_boundary_y) if boundaries else None,
        schema=columns.schema,
    )


def _boundaries(path: Path, *, negate_y: bool) -> Boundaries:
    names = column_names(path)
    if "Geometry" in names:
        return _wkb(path, negate_y=negate_y)
    if {"x", "y", "poly_ID"} <= set(names):
        return read_vertices(path, cell="poly_ID", x="x", y="y", kind="cell", negate_y=negate_y)
    raise UserError(
        f"{path}: has the columns {', '.join(names[:20])}, expected Geometry and EntityID (WKB), or x, y and poly_ID; "
        "export the boundaries anew."
    )


def _wkb(path: Path, *, negate_y: bool) -> Boundaries:
    """The largest polygon of each EntityID over all planes."""
    columns = read_columns(path, required=("Geometry", "EntityID"), text=("EntityID",))
    code, ids = columns.codes("EntityID")
    geometry = columns.column("Geometry")
    if not (pa.types.is_binary(geometry.type) or pa.types.is_large_binary(geometry.type)):
        raise UserError(
            f"{path}: column 'Geometry' has type {geometry.type}, expected WKB (binary); use the .parquet of the "
            "export."
        )
    try:
        shapes = shapely.from_wkb(np.array(geometry.to_pylist(), object))
    except shapely.errors.GEOSException as error:
        raise UserError(f"{path}: column 'Geometry' is not WKB ({error}); use the .parquet of the export.") from error
    parts, row = shapely.get_parts(shapes, return_index=True)
    if negate_y:
        parts = shapely.transform(parts, lambda xy: xy * [1, -1])
    return largest_per_cell(from_shapely(parts), of=code[row], ids=ids, kind="cell")
