"""10x Xenium: string ids with "UNASSIGNED" (also stored as bytes) and the older int32 ids with -1; Parquet or CSV.

Format: 10x Genomics, "Understanding Xenium outputs".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.families.segger.readers.boundaries import read_vertices
from ml_core.families.segger.readers.columns import NOBODY, read_columns
from ml_core.families.segger.readers.sample import Sample

REQUIRED = ("feature_name", "x_location", "y_location")
OPTIONAL = ("transcript_id", "cell_id", "overlaps_nucleus", "z_location", "qv")
NOBODY_OLD_CSV = (*NOBODY, "0")  # integer ids start at 1; some old exports write 0 for "none"


def read(transcripts: Path, *, nucleus_boundaries: Path | None = None) -> Sample:
    """A Xenium sample; columns of `OPTIONAL` that are missing become None, numbers from 0 (ids) or zeros (z)."""
    columns = read_columns(transcripts, required=REQUIRED, optional=OPTIONAL, text=("feature_name", "cell_id"))
    feature, features = columns.codes("feature_name")
    cell, cells = columns.codes("cell_id", nobody=NOBODY_OLD_CSV) if "cell_id" in columns else (None, [])
    boundaries = None
    if nucleus_boundaries is not None:
        boundaries = read_vertices(
            nucleus_boundaries, cell="cell_id", x="vertex_x", y="vertex_y", part="label_id", kind="nucleus"
        )
    return Sample(
        platform="xenium",
        transcript_id=columns.identifiers("transcript_id") if "transcript_id" in columns else np.arange(len(columns)),
        xy=columns.points("x_location", "y_location"),
        z=columns.numbers("z_location", np.float32) if "z_location" in columns else np.zeros(len(columns), np.float32),
        feature=feature,
        features=features,
        qv=columns.numbers("qv", np.float32) if "qv" in columns else None,
        cell=cell,
        cells=cells,
        in_nucleus=columns.numbers("overlaps_nucleus", np.float32) > 0 if "overlaps_nucleus" in columns else None,
        boundaries=boundaries,
        schema=columns.schema,
    )
