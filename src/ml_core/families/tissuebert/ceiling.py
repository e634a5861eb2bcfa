"""What the best possible classifier could make of one region: a figure of a region is to be read beside it."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.likelihoods import LikelihoodTables, rate_likelihood


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
