"""A table of counts as text: ASVs in rows, samples in columns, as `biom convert --to-tsv` writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from ml_core.errors import UserError


def read_tsv(path: Path, data: bytes) -> tuple[list[str], list[str], sparse.csr_matrix]:
    """Ids of samples, ids of ASVs, and the matrix [samples, ASVs] float64; a last column `taxonomy` is left out.

    Lines before the header that begin with # are comments. UserError with row and column where a cell is no number.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is neither BIOM nor .qza nor text (byte {error.start}), expected a table of counts; check the "
            "path."
        ) from error
    start = next((number for number, line in enumerate(lines) if "\t" in line), None)
    if start is None:
        raise UserError(f"{path}: has no tab, expected a table of counts as BIOM, .qza or TSV; check the path.")
    names = lines[start].split("\t")[1:]
    taxonomy = names[-1].strip().lower() == "taxonomy"
    sample_ids = [name.strip() for name in (names[:-1] if taxonomy else names)]
    asv_ids, columns, values, ends = [], [], [], [0]
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip():
            continue
        asv_id, *cells = line.split("\t")
        if len(cells) != len(names):
            raise UserError(
                f"{path}: row {number} has {len(cells) + 1} cells, expected {len(names) + 1} as in the header (row "
                f"{start + 1}); mend the row."
            )
        row = _numbers(path, cells[: len(sample_ids)], row=number, sample_ids=sample_ids)
        there = np.flatnonzero(row)
        asv_ids.append(asv_id.strip())
        columns.append(there)
        values.append(row[there])
        ends.append(ends[-1] + len(there))
    by_asv = sparse.csr_matrix(
        (np.concatenate([*values, np.empty(0)]), np.concatenate([*columns, np.empty(0, np.int64)]), ends),
        (len(asv_ids), len(sample_ids)),
    )
    return sample_ids, asv_ids, by_asv.T.tocsr()


def _numbers(path: Path, cells: list[str], *, row: int, sample_ids: list[str]) -> np.ndarray:
    try:
        return np.array(cells, np.float64)
    except ValueError:
        for cell, sample in zip(cells, sample_ids, strict=True):
            try:
                float(cell)
            except ValueError as error:
                raise UserError(
                    f"{path}: row {row}, column '{sample}' is '{cell}', expected a count of reads; mend the cell."
                ) from error
        raise
