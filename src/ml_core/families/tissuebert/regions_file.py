"""What stands in regions.h5: names, types and shapes, one place for the writer and the reader."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd

from ml_core.families.tissuebert.tokens import WINDOW_BP

VERSION = "1"
NO_PLACE = 255  # fills cpg_position behind a region's last CpG
SEQUENCE_SOURCES = ("fasta", "surrogate", "none")
KINDS = ("reads", "counts")

# dataset -> dtype, dimensions ("rows", "regions", "samples + 1", ...)
DATASETS: dict[str, tuple[Any, tuple[str | int, ...]]] = {
    "dna_tokens": (np.uint8, ("regions", WINDOW_BP)),
    "states": (np.uint8, ("rows", WINDOW_BP)),
    "row_region": (np.int32, ("rows",)),
    "row_sample": (np.int32, ("rows",)),
    "row_count": (np.uint16, ("rows",)),
    "n_meth": (np.uint16, ("rows",)),
    "n_cov": (np.uint16, ("rows",)),
    "sample_offset": (np.int64, ("offsets",)),
    "cpg_position": (np.uint8, ("regions", "cpgs")),
    "n_cpg": (np.uint8, ("regions",)),
}
OF_ROWS = ("states", "row_region", "row_sample", "row_count", "n_meth", "n_cov")

TABLES: dict[str, dict[str, type]] = {
    "sample": {"name": str, "donor": str, "tissue": str, "kind": str, "coverage": float, "synthetic": bool},
    "region": {
        "chromosome": str,
        "start": int,
        "end": int,
        "start_cpg": int,
        "end_cpg": int,
        "target": str,
        "direction": str,
        "block": str,
    },
    "tissue": {"name": str, "group": str},
}
ATTRIBUTES = ("version", "build", "sequence_source", "panel_digest", "cpgs")
_NUMBERS: dict[type, Any] = {int: np.int64, float: np.float64, bool: np.bool_}


def write_table(file: h5py.File, name: str, table: pd.DataFrame) -> None:
    """The table's columns as datasets of one group."""
    group = file.create_group(name)
    for column, kind in TABLES[name].items():
        values = table[column]
        if kind is str:
            group.create_dataset(column, data=[str(value) for value in values], dtype=h5py.string_dtype())
        else:
            group.create_dataset(column, data=values.to_numpy(_NUMBERS[kind]))


def read_table(file: h5py.File, name: str) -> pd.DataFrame:
    """The table as a frame; KeyError or ValueError where a column is absent or of another length."""
    group = file[name]
    columns = {}
    for column, kind in TABLES[name].items():
        values = group[column]
        columns[column] = np.array(values.asstr()[()], object) if kind is str else values[()].astype(_NUMBERS[kind])
    return pd.DataFrame(columns)
