"""A table of counts in any of its formats, told apart by content: BIOM (HDF5 or JSON), QIIME 2 .qza, or TSV."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from ml_core.errors import UserError
from ml_core.families.sequence.readers.archive import content
from ml_core.families.sequence.readers.biom import HDF5, read_hdf5, read_json
from ml_core.families.sequence.readers.tsv import read_tsv

WHAT = "a table of counts (BIOM, .qza or TSV)"


@dataclass(frozen=True)
class Counts:
    """**Shapes**, n samples, a ASVs: sample_ids [n] and asv_ids [a] str objects; matrix [n, a] int32 without zeros."""

    sample_ids: np.ndarray
    asv_ids: np.ndarray
    matrix: sparse.csr_matrix


def read_counts(path: Path) -> Counts:
    """Samples x ASVs. UserError where counts are negative or no whole numbers, or an id stands twice."""
    data = content(path, members=("feature-table.biom",), what=WHAT)
    if data.startswith(HDF5):
        sample_ids, asv_ids, matrix = read_hdf5(path, data)
    elif data.lstrip().startswith(b"{"):
        sample_ids, asv_ids, matrix = read_json(path, data)
    else:
        sample_ids, asv_ids, matrix = read_tsv(path, data)
    for ids, kind in ((sample_ids, "sample"), (asv_ids, "ASV")):
        if not len(ids):
            raise UserError(f"{path}: has no {kind}s, expected {WHAT}; check the path.")
        _once(path, ids=ids, kind=kind)
    return Counts(_texts(sample_ids), _texts(asv_ids), _whole_numbers(path, sample_ids, asv_ids, matrix))


def _once(path: Path, *, ids: list[str], kind: str) -> None:
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise UserError(f"{path}: {kind} '{twice}' stands there twice, expected each once; merge or rename one.")


def _texts(ids: list[str]) -> np.ndarray:
    return np.array([*ids, None], object)[:-1]  # never taken apart into letters


def _whole_numbers(
    path: Path, sample_ids: list[str], asv_ids: list[str], matrix: sparse.csr_matrix
) -> sparse.csr_matrix:
    values = matrix.data
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0) | (values != np.rint(values)) | (values >= 2**31))
    if len(wrong):
        first = wrong[0]
        row = int(np.searchsorted(matrix.indptr, first, side="right")) - 1
        raise UserError(
            f"{path}: sample '{sample_ids[row]}' has {values[first]:g} of ASV '{asv_ids[matrix.indices[first]]}', "
            "expected counts of reads (0, 1, 2, ...); give the table before normalisation."
        )
    result = sparse.csr_matrix((values.astype(np.int32), matrix.indices, matrix.indptr), matrix.shape)
    result.eliminate_zeros()
    result.sort_indices()
    return result
