"""What must be true of regions.h5: states at CpGs only, no donor in two splits, no sample that copies another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.tokens import NO_CPG, NOT_OBSERVED, cpg_possible

BLOCK_ROWS = 65_536
CHANCE = 5.0  # spreads of the correlation of independent samples; some 1e6 pairs stay below
FEW = 3
PRIOR = 0.5  # reads added to either state, so that no region is expected to be the same in all


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


def region_counts(regions: Regions) -> tuple[np.ndarray, np.ndarray]:
    """(methylated, observed) CpGs float64 [samples, regions], over all reads."""
    shape = (len(regions.samples), len(regions.n_cpg))
    place = regions.row_sample.astype(np.int64) * shape[1] + regions.row_region
    count = regions.row_count.astype(np.float64)
    meth, cov = (
        np.bincount(place, count * values, shape[0] * shape[1]).reshape(shape)
        for values in (regions.n_meth, regions.n_cov)
    )
    return meth, cov


@dataclass(frozen=True)
class Likeness:
    """Pairs of samples in different splits: how many were compared, how many have too few regions in common for that,
    and those that are alike (sample, sample, correlation)."""

    compared: int
    too_few: int
    copies: list[tuple[str, str, float]]


def near_duplicates(
    meth: np.ndarray, cov: np.ndarray, *, samples: pd.DataFrame, part: np.ndarray, threshold: float
) -> Likeness:
    """Samples of different splits whose regions deviate alike from what their tissue has.

    meth, cov [samples, regions] of `region_counts`; part [samples], negative: in no split. Independent donors deviate
    each in its own way, so that the correlation of deviations is about 0 with a spread of one over the root of the
    regions in common; a copy deviates as its original does, the more so the more of the reads it has. Alike is a pair
    above `threshold` and above `CHANCE` spreads.
    """
    deviation = _deviation(meth, cov, tissue=samples["tissue"].to_numpy(object))
    shared = (cov > 0).astype(np.float64)
    both = shared @ shared.T
    squares = deviation**2 @ shared.T
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.nan_to_num(deviation @ deviation.T / np.sqrt(squares * squares.T))
        limit = np.maximum(threshold, CHANCE / np.sqrt(both))
    apart = (part[:, None] >= 0) & (part[:, None] < part)
    names = samples["name"].to_numpy(object)
    return Likeness(
        compared=int((apart & (limit < 1)).sum()),
        too_few=int((apart & (limit >= 1)).sum()),
        copies=[
            (str(names[one]), str(names[other]), float(alike[one, other]))
            for one, other in np.argwhere(apart & (limit < 1) & (alike > limit))
        ],
    )


def _deviation(meth: np.ndarray, cov: np.ndarray, *, tissue: np.ndarray) -> np.ndarray:
    """[samples, regions] in standard deviations of binomial counts, 0 where a sample has none.

    What is expected are the pooled reads of the tissue, of all tissues where it has less than `FEW` samples.
    """
    found = np.zeros_like(meth)
    for name in set(tissue):
        own = tissue == name
        pool = own if own.sum() >= FEW else np.ones(len(tissue), bool)
        expected = (meth[pool].sum(axis=0) + PRIOR) / (cov[pool].sum(axis=0) + 2 * PRIOR)
        spread = np.sqrt(np.maximum(cov[own], 1) * expected * (1 - expected))
        found[own] = (meth[own] - cov[own] * expected) / spread
    return found
