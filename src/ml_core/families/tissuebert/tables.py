"""What the tables of the training donors say, for reads of new donors and, out of fold, for reads of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.likelihoods import LikelihoodTables, fit_likelihoods

SMALLEST = 1e-6
WHOLE = -1


@dataclass(frozen=True)
class Tables:
    """How often a tissue's reads have each methylation rate in a region, as logarithms.

    **Shapes**: fitted, the tables of all training donors; log_rates [1 + folds, regions, tissues, rates] float32, the
    first those, the others each without a fold's donors; fold [samples] int64 of each training sample, `WHOLE` where
    there is no other donor of its tissue to learn from.
    """

    fitted: LikelihoodTables
    log_rates: np.ndarray
    fold: np.ndarray

    def whole(self, region: np.ndarray) -> np.ndarray:
        """[n, tissues, rates] of reads of new donors in regions [n]."""
        found: np.ndarray = self.log_rates[0, region]
        return found

    def out_of_fold(self, *, sample: np.ndarray, region: np.ndarray) -> np.ndarray:
        """[n, tissues, rates] of reads of training samples [n], from tables that have not seen their donors."""
        found: np.ndarray = self.log_rates[1 + self.fold[sample], region]
        return found


def fit_tables(regions: Regions, samples: np.ndarray, *, folds: int, donor_correlation: float) -> Tables:
    """Tables of all training samples and of those outside each fold."""
    fitted = fit_likelihoods(regions, samples, donor_correlation=donor_correlation)
    fold = deal_folds(regions, samples, folds=folds)
    each = [fitted]
    for number in range(folds if (fold >= 0).any() else 0):
        others = samples[fold[samples] != number]
        each.append(fit_likelihoods(regions, others, donor_correlation=donor_correlation))
    return Tables(fitted, np.stack([log_rates_of(tables) for tables in each]), fold)


def log_rates_of(tables: LikelihoodTables) -> np.ndarray:
    """float32 [regions, tissues, rates]."""
    found: np.ndarray = np.log(np.maximum(tables.weights, SMALLEST)).astype(np.float32)
    return found


def deal_folds(regions: Regions, samples: np.ndarray, *, folds: int) -> np.ndarray:
    """Fold of each sample, int64 [all samples]: donors of a tissue take turns, and a tissue's only donor has none."""
    fold = np.full(len(regions.samples), WHOLE)
    donors, tissues = regions.samples["donor"].to_numpy(str), regions.tissue_of_sample
    of_donor: dict[str, int] = {}
    for tissue in np.unique(tissues[samples]):
        own = sorted(set(donors[samples[tissues[samples] == tissue]]))
        for turn, donor in enumerate(own if len(own) > 1 else []):
            of_donor.setdefault(donor, (turn + int(tissue)) % folds)
    for sample in samples:
        fold[sample] = of_donor.get(donors[sample], WHOLE)
    return fold


def information(tables: LikelihoodTables) -> np.ndarray:
    """What the rate of a read tells of its tissue [regions], in nats: mutual information, tissues alike frequent."""
    weights = np.maximum(tables.weights, SMALLEST)
    mean = weights.mean(1, keepdims=True)
    told: np.ndarray = (weights * np.log(weights / mean)).sum(2).mean(1)
    positive: np.ndarray = np.maximum(told, 0)
    return positive
