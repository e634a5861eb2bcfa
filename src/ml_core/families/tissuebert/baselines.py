"""What a model must beat, from the same samples: prior, logistic regression, naive Bayes, NNLS and plain EM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.em import maximise
from ml_core.families.tissuebert.evidence import STANDS_OUT, Reads
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.nnls import least_squares, with_unknown

CLIP = 1e-3
MARKED = 0.25  # chance of a state from which on a region counts as a marker of an unknown tissue


@dataclass(frozen=True)
class RegionCounts:
    """Methylated and observed CpGs of samples by region, float64 [samples, regions] each."""

    meth: np.ndarray
    cov: np.ndarray

    def means(self, fill: np.ndarray) -> np.ndarray:
        """Methylated shares [samples, regions]; `fill` [regions] where a sample has no read."""
        return np.where(self.cov > 0, self.meth / np.maximum(self.cov, 1), fill)


def count_regions(regions: Regions, samples: np.ndarray) -> RegionCounts:
    """Counts of these samples, in their order."""
    size = len(regions.n_cpg)
    found = np.zeros((2, len(samples), size))
    for place, sample in enumerate(samples):
        rows = regions.rows_of(sample)
        for field, values in zip(found, (regions.n_meth, regions.n_cov), strict=True):
            weight = values[rows].astype(float) * regions.row_count[rows]
            field[place] = np.bincount(regions.row_region[rows], weight, minlength=size)
    return RegionCounts(*found)


def rates(train: RegionCounts, tissue: np.ndarray, *, tissues: int) -> np.ndarray:
    """Mean methylation [regions, tissues] of training samples, with half a CpG added either way."""
    member = np.eye(tissues)[tissue].T
    found: np.ndarray = (member @ train.meth + 0.5) / (member @ train.cov + 1)
    return np.clip(found, CLIP, 1 - CLIP).T


def plain_nnls(rate: np.ndarray, reads: Reads) -> np.ndarray:
    """Proportions [tissues] by NNLS on mean methylation; no unknown tissue. rate [regions, tissues]."""
    meth, cov = _by_region(reads, len(rate))
    return least_squares(rate, meth / np.maximum(cov, 1), cov)


def nnls_with_unknown(rate: np.ndarray, states: np.ndarray, reads: Reads) -> np.ndarray:
    """Proportions [tissues + 1] by NNLS, the unknown tissue last. states [regions, states]: chance of what it is where
    (`evidence.expected_states`); it looks as tissues do in the median, turned as far as it is more likely turned than
    in a region that says nothing."""
    meth, cov = _by_region(reads, len(rate))
    usual = np.median(rate, axis=1)
    marked = states[:, 1:] >= MARKED
    ends = (rate[rate < usual[:, None] - STANDS_OUT], rate[rate > usual[:, None] + STANDS_OUT])
    turned = usual.copy()
    for own, end in zip(marked.T, ends, strict=True):
        turned[own] = end.mean() if len(end) else usual[own]
    return with_unknown(rate, np.column_stack([usual, turned]), meth / np.maximum(cov, 1), cov)


def plain_em(rate: np.ndarray, reads: Reads) -> np.ndarray:
    """Proportions [tissues] by EM on methylated shares by region, weighted by reads; no unknown tissue."""
    meth, cov = _by_region(reads, len(rate))
    seen = cov > 0
    number = np.bincount(reads.region, reads.weight, minlength=len(rate))[seen]
    share = meth[seen] / cov[seen]
    likelihood = np.concatenate([rate[seen], 1 - rate[seen]])
    return maximise(likelihood, np.concatenate([share * number, (1 - share) * number])[:, None])[0]


def _by_region(reads: Reads, regions: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple(  # type: ignore[return-value]
        np.bincount(reads.region, each * reads.weight, minlength=regions) for each in (reads.n_meth, reads.n_cov)
    )
