"""NanoString CosMx: *_tx_file.csv in pixels; a cell is known by its field of view and its number in it.

`CellComp` says whether a transcript lies in the nucleus, so that nuclei are hulls of nuclear transcripts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.families.segger.readers.columns import read_columns
from ml_core.families.segger.readers.sample import Sample

REQUIRED = ("fov", "cell_ID", "x_global_px", "y_global_px", "target")
OPTIONAL = ("transcript_id", "z", "CellComp")
NOBODY = "0"


def read(transcripts: Path, *, pixel_size_um: float) -> Sample:
    """A CosMx sample in um; z planes are left in their own numbering. There is no qv."""
    columns = read_columns(
        transcripts, required=REQUIRED, optional=OPTIONAL, text=("target", "cell_ID", "fov", "CellComp")
    )
    feature, features = columns.codes("target")
    cell, cells = _cells_of_all_fields(*columns.codes("fov"), *columns.codes("cell_ID", nobody=(NOBODY,)))
    in_nucleus = None
    if "CellComp" in columns:
        compartment, compartments = columns.codes("CellComp")
        in_nucleus = np.isin(compartment, [code for code, name in enumerate(compartments) if name.startswith("Nucl")])
    pixels = np.stack([columns.numbers("x_global_px"), columns.numbers("y_global_px")], axis=1)
    return Sample(
        platform="cosmx",
        transcript_id=columns.identifiers("transcript_id") if "transcript_id" in columns else np.arange(len(columns)),
        xy=(pixels * pixel_size_um).astype(np.float32),
        z=(columns.numbers("z") if "z" in columns else np.zeros(len(columns))).astype(np.float32),
        feature=feature,
        features=features,
        cell=cell,
        cells=cells,
        in_nucleus=in_nucleus,
        schema=columns.schema,
    )


def _cells_of_all_fields(
    fov: np.ndarray, fovs: list[str], cell: np.ndarray, cells: list[str]
) -> tuple[np.ndarray, list[str]]:
    """Codes and names "fov_cell" over all fields of view; -1 stays -1."""
    pair = np.where(cell >= 0, fov.astype(np.int64) * len(cells) + cell, -1)
    there, code = np.unique(pair, return_inverse=True)
    first = int(len(there) > 0 and there[0] == -1)
    names = [f"{fovs[value // len(cells)]}_{cells[value % len(cells)]}" for value in there[first:].tolist()]
    return (code - first).astype(np.int32), names
