"""Rarefaction: each sample's reads drawn without replacement down to one depth."""

from __future__ import annotations

import zlib

import numpy as np
from scipy import sparse


def rarefied_sample(counts: np.ndarray, *, depth: int, rng: np.random.Generator) -> np.ndarray:
    """[a] int64, `depth` of the sample's reads, drawn from counts [a] (multivariate hypergeometric)."""
    return rng.multivariate_hypergeometric(counts, depth, method="marginals")


def rarefied(counts: sparse.csr_matrix, *, sample_ids: np.ndarray, depth: int, seed: int) -> sparse.csr_matrix:
    """[n, a] int32; every row of counts [n, a] must have `depth` reads or more.

    A sample's draw depends on `seed`, its id and its own counts alone, so that further samples or ASVs change nothing.
    """
    data = np.zeros_like(counts.data, np.int32)
    for row, name in enumerate(sample_ids):
        mine = slice(counts.indptr[row], counts.indptr[row + 1])
        rng = np.random.default_rng([seed, zlib.crc32(str(name).encode())])
        data[mine] = rarefied_sample(counts.data[mine], depth=depth, rng=rng)
    result = sparse.csr_matrix((data, counts.indices.copy(), counts.indptr.copy()), counts.shape)
    result.eliminate_zeros()
    return result
