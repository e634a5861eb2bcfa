"""BIOM, the format of tables of counts: version 2.1 (HDF5) and version 1.0 (JSON), biom-format.org."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from ml_core.errors import UserError

HDF5 = b"\x89HDF\r\n\x1a\n"
Table = tuple[list[str], list[str], sparse.csr_matrix]


def read_hdf5(path: Path, data: bytes) -> Table:
    """Ids of samples, ids of ASVs, and the matrix [samples, ASVs] float64. UserError where it is no BIOM table."""
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            sample_ids, asv_ids = (
                [each.decode() if isinstance(each, bytes) else str(each) for each in file[f"{axis}/ids"][:]]
                for axis in ("sample", "observation")
            )
            parts = [file[f"sample/matrix/{part}"][:] for part in ("data", "indices", "indptr")]
    except KeyError as error:
        raise UserError(
            f"{path}: is HDF5 but no BIOM 2.1 table ({error.args[0]!s}); export it as BIOM again."
        ) from error
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:  # h5py raises all of these
        raise UserError(f"{path}: is damaged HDF5 ({error}), expected a BIOM table; fetch the file again.") from error
    return sample_ids, asv_ids, _matrix(path, parts, shape=(len(sample_ids), len(asv_ids)))


def read_json(path: Path, data: bytes) -> Table:
    """The same of BIOM 1.0, sparse or dense."""
    try:
        table: dict[str, Any] = json.loads(data)
        asv_ids, sample_ids = ([str(each["id"]) for each in table[axis]] for axis in ("rows", "columns"))
        values = np.array(table["data"], np.float64)
        if table["matrix_type"] == "sparse":
            row, column = values.reshape(-1, 3)[:, :2].T.astype(np.int64)
            value = values.reshape(-1, 3)[:, 2]
        else:
            row, column = np.nonzero(values)
            value = values[row, column]
        matrix = sparse.coo_matrix((value, (column, row)), (len(sample_ids), len(asv_ids)))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is no BIOM 1.0 table ({type(error).__name__}: {error}); export it as BIOM again."
        ) from error
    return sample_ids, asv_ids, matrix.tocsr()


def _matrix(path: Path, parts: list[np.ndarray], *, shape: tuple[int, int]) -> sparse.csr_matrix:
    try:
        matrix = sparse.csr_matrix((parts[0].astype(np.float64), parts[1], parts[2]), shape)
        matrix.check_format()
    except ValueError as error:
        raise UserError(
            f"{path}: its matrix does not fit its {shape[0]} samples and {shape[1]} ASVs ({error}); export it again."
        ) from error
    matrix.sum_duplicates()
    return matrix
