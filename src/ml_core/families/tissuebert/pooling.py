"""From reads to regions and samples: log likelihoods are summed. A vote throws away how sure each read is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pooled:
    """Groups of reads (a sample, or a sample's region): key and reads [groups], log_likelihood [groups, tissues]."""

    key: np.ndarray
    log_likelihood: np.ndarray
    reads: np.ndarray

    def accuracy(self, truth: np.ndarray) -> float:
        """Share of groups whose likeliest tissue is `truth` [groups]; NaN without groups."""
        found = self.log_likelihood.argmax(1) == truth
        return float(found.mean()) if len(found) else float("nan")


def pool(log_likelihood: np.ndarray, weight: np.ndarray, key: np.ndarray) -> Pooled:
    """Sum log likelihoods [m, tissues] of reads that occur `weight` [m] times over equal `key` [m]."""
    keys, inverse = np.unique(key, return_inverse=True)
    sums = [np.bincount(inverse, weight * each, minlength=len(keys)) for each in log_likelihood.T]
    return Pooled(keys, np.stack(sums, axis=1), np.bincount(inverse, weight, minlength=len(keys)))


def posterior(log_likelihood: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
    """Chances [groups, tissues] of log likelihoods of that shape; the prior [tissues] is flat where there is none."""
    log = log_likelihood if prior is None else log_likelihood + np.log(np.maximum(prior, 1e-12))
    chance = np.exp(log - log.max(1, keepdims=True))
    normal: np.ndarray = chance / chance.sum(1, keepdims=True)
    return normal


def accuracy_by_reads(
    log_likelihood: np.ndarray,
    weight: np.ndarray,
    sample: np.ndarray,
    truth: np.ndarray,
    *,
    counts: list[int],
    draws: int,
    seed: int,
) -> dict[int, float]:
    """Share of right samples when only so many of their reads are known: for each of `counts` that a sample has.

    log_likelihood [m, tissues]; sample [m]; truth [samples] by sample number. Reads are drawn without replacement.
    """
    rng = np.random.default_rng(seed)
    single = np.repeat(np.arange(len(sample)), weight.astype(int))
    by_sample = [single[sample[single] == each] for each in np.unique(sample)]
    found = {}
    for count in counts:
        deep = [rows for rows in by_sample if len(rows) >= count]
        right = [
            log_likelihood[rng.choice(rows, count, replace=False)].sum(0).argmax() == truth[sample[rows[0]]]
            for rows in deep
            for _ in range(draws)
        ]
        if right:
            found[count] = float(np.mean(right))
    return found
