"""What the best possible classifier could make of a read, a region or a few reads: to be read beside what one makes."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.likelihoods import RATES, LikelihoodTables, rate_likelihood


def read_chances(tables: LikelihoodTables, *, cpgs: int) -> np.ndarray:
    """p(k methylated | tissue, region) of reads with `cpgs` CpGs, [regions, tissues, cpgs + 1]."""
    chance: np.ndarray = tables.weights @ rate_likelihood(np.arange(cpgs + 1), np.full(cpgs + 1, cpgs)).T
    return chance


def bits(chances: np.ndarray) -> np.ndarray:
    """Mutual information of tissue (all alike) and one read, in bits, [regions]."""
    mean = chances.mean(1, keepdims=True)
    found: np.ndarray = (chances * np.log2(np.maximum(chances, 1e-30) / mean)).sum(2).mean(1)
    return found


def read_ceiling(chances: np.ndarray) -> np.ndarray:
    """Accuracy of the best guess from one read, tissues being equally frequent, [regions]."""
    found: np.ndarray = chances.max(1).sum(1) / chances.shape[1]
    return found


def region_ceiling(chances: np.ndarray, *, reads: int, draws: int, seed: int) -> np.ndarray:
    """The same from `reads` reads of the region, by simulation: [regions]."""
    rng = np.random.default_rng(seed)
    regions, tissues = chances.shape[:2]
    log = np.log(np.maximum(chances, 1e-30))
    right = np.zeros(regions)
    for _ in range(draws):
        counts = rng.multinomial(reads, chances / chances.sum(2, keepdims=True))  # [regions, tissues, outcomes]
        likely = np.einsum("rtk,rsk->rts", counts, log)
        right += (likely.argmax(2) == np.arange(tissues)).mean(1)
    return right / draws


def sample_ceiling(tables: LikelihoodTables, places: np.ndarray, *, reads: int, draws: int, seed: int) -> float:
    """Accuracy of the best guess from `reads` reads of a sample that is as the tables say, `draws` samples a tissue.

    places [n, 2] int64: region and observed CpGs of real reads, of which each simulated one takes one.
    """
    rng = np.random.default_rng(seed)
    right, tissues = 0.0, len(tables.tissues)
    for tissue in range(tissues):
        region, n_cov = places[rng.integers(len(places), size=draws * reads)].T
        up_to = np.cumsum(tables.weights[region, tissue], axis=1)
        rate = RATES[(rng.random((len(region), 1)) * up_to[:, -1:] > up_to).sum(1)]
        likely = tables.log_likelihood(region, rng.binomial(n_cov, rate), n_cov)
        right += float((likely.reshape(draws, reads, tissues).sum(1).argmax(1) == tissue).mean())
    return right / tissues
