"""What must be true of regions.h5: states at CpGs only, no donor in two splits, no sample that copies another's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.tokens import NO_CPG, NOT_OBSERVED, cpg_possible

BLOCK_ROWS = 65_536


def misplaced(regions: Regions) -> int:
    """Rows with a methylation state where the tokens have no C of a CG, or at a place that is no CpG of the region."""
    allowed = cpg_possible(regions.dna_tokens)
    of_region = np.zeros(allowed.shape, bool)
    number, which = np.nonzero(regions.cpg_position != NO_PLACE)
    of_region[number, regions.cpg_position[number, which]] = True
    wrong = 0
    for start in range(0, len(regions), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        states, region = regions.states[rows], regions.row_region[rows]
        told = (states < NO_CPG) & ~(allowed & of_region)[region]
        left_open = (states == NOT_OBSERVED) & ~allowed[region]
        wrong += int((told | left_open).any(axis=1).sum())
    return wrong


def region_means(regions: Regions) -> np.ndarray:
    """float64 [samples, regions]: methylated share of the observed CpGs, NaN without any."""
    shape = (len(regions.samples), len(regions.n_cpg))
    place = regions.row_sample.astype(np.int64) * shape[1] + regions.row_region
    count = regions.row_count.astype(np.float64)
    meth = np.bincount(place, count * regions.n_meth, shape[0] * shape[1])
    cov = np.bincount(place, count * regions.n_cov, shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        means: np.ndarray = (meth / cov).reshape(shape)
    return means


def near_duplicates(
    means: np.ndarray, *, samples: pd.DataFrame, part: np.ndarray, threshold: float, min_shared: int
) -> list[tuple[str, str, float]]:
    """(sample, sample, correlation) of pairs in different splits whose regions deviate alike from their tissue's mean.

    means [samples, regions] of `region_means`; part [samples], negative: in no split. Independent donors of a tissue
    deviate from its mean each in its own way; a copy deviates as its original does, at whatever coverage.
    """
    deviation = means - _leave_one_out(means, samples["tissue"].to_numpy(object))
    shared = ~np.isnan(deviation)
    filled = np.where(shared, deviation, 0.0)
    both = shared.astype(np.float64) @ shared.T
    products, squares = filled @ filled.T, (filled**2) @ shared.T
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = products / np.sqrt(squares * squares.T)
    alike[(both < min_shared) | ~np.isfinite(alike)] = 0.0
    apart = (part[:, None] >= 0) & (part >= 0) & (part[:, None] < part)
    names = samples["name"].to_numpy(object)
    return [
        (str(names[one]), str(names[other]), float(alike[one, other]))
        for one, other in np.argwhere(apart & (alike > threshold))
    ]


def _leave_one_out(means: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """[samples, regions]: mean of all samples of the tissue; of the whole where the tissue has less than three."""
    expected = np.empty_like(means)
    for name in set(tissue):
        own = tissue == name
        expected[own] = _mean(means[own] if own.sum() > 2 else means)
    return expected


def _mean(values: np.ndarray) -> np.ndarray:
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0)
    return found
