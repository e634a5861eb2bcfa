"""Distances computed elsewhere: HDF5 of ssu (unifrac), a table with ids (TSV, QIIME 2 .qza), or a bare .npy."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import h5py
import numpy as np

from ml_core.errors import UserError
from ml_core.families.sequence.readers.archive import content
from ml_core.families.sequence.readers.biom import HDF5

WHAT = "a matrix of distances (.h5, TSV, .qza or .npy)"
NUMPY = b"\x93NUMPY"
ROUNDING = 1e-4  # text and float32 are rounded: so much asymmetry, and so much above 1, is none


@dataclass(frozen=True)
class Matrix:
    """ids [n] str objects, or None where the file has none; values [n, n] float32, symmetric with a zero diagonal."""

    ids: np.ndarray | None
    values: np.ndarray


def read_distances(path: Path) -> Matrix:
    """UserError where it is not square, not symmetric, or has other values than 0 to 1."""
    data = content(path, members=("distance-matrix.tsv",), what=WHAT)
    if data.startswith(HDF5):
        ids, values = _hdf5(path, data)
    elif data.startswith(NUMPY):
        ids, values = None, _npy(path, data)
    else:
        ids, values = _tsv(path, data)
    return Matrix(ids, _valid(path, values, ids=ids))


def _hdf5(path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            name = "matrix" if "matrix" in file else "matrix:0"  # the latter in files of several subsamples
            ids = [each.decode() if isinstance(each, bytes) else str(each) for each in file["order"][:]]
            return np.array([*ids, None], object)[:-1], np.asarray(file[name][:], np.float64)
    except KeyError as error:
        raise UserError(
            f"{path}: is HDF5 without 'order' and 'matrix' ({error.args[0]}), expected the output of ssu; give {WHAT}."
        ) from error
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:  # h5py raises all of these
        raise UserError(f"{path}: is damaged HDF5 ({error}), expected {WHAT}; fetch the file again.") from error


def _npy(path: Path, data: bytes) -> np.ndarray:
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), np.float64)
    except (ValueError, EOFError, SyntaxError, TokenError) as error:  # the header is parsed as Python
        raise UserError(f"{path}: cannot be read as .npy ({error}), expected {WHAT}; save it again.") from error


def _tsv(path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        lines = [line for line in data.decode("utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
        header = lines[0].split("\t")[1:]
        rows = [line.split("\t") for line in lines[1:]]
        values = np.array([row[1:] for row in rows], np.float64)
    except (UnicodeDecodeError, ValueError, IndexError) as error:
        raise UserError(f"{path}: cannot be read as {WHAT} ({error}); check the path.") from error
    names = [row[0].strip() for row in rows]
    if names != [name.strip() for name in header]:
        raise UserError(
            f"{path}: its rows and columns have different ids, expected the same in one order; mend the file."
        )
    return np.array([*names, None], object)[:-1], values


def _valid(path: Path, values: np.ndarray, *, ids: np.ndarray | None) -> np.ndarray:
    if values.ndim != 2 or values.shape[0] != values.shape[1] or (ids is not None and len(ids) != len(values)):
        raise UserError(f"{path}: has shape {values.shape}, expected a square matrix; give {WHAT}.")
    if not np.isfinite(values).all() or values.min(initial=0) < -ROUNDING or values.max(initial=0) > 1 + ROUNDING:
        raise UserError(
            f"{path}: has values from {np.nanmin(values):g} to {np.nanmax(values):g} or none at all, expected "
            "distances from 0 to 1; give unweighted or normalised weighted UniFrac."
        )
    if np.abs(values - values.T).max(initial=0) > ROUNDING or np.abs(np.diag(values)).max(initial=0) > ROUNDING:
        raise UserError(f"{path}: is not symmetric with a zero diagonal, expected distances; give {WHAT}.")
    values = np.clip((values + values.T) / 2, 0, 1).astype(np.float32)
    np.fill_diagonal(values, 0)
    return values
