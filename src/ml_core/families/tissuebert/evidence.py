"""What reads say of tissues, ready for deconvolution: likelihoods of known tissues and of an unknown one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from ml_core.families.tissuebert.likelihoods import RATES, LikelihoodTables, mixture_log_likelihood

Source = Literal["tables", "model", "both"]
STANDS_OUT = 0.3  # by so much methylation a tissue differs from most others where it is marked
STATES = ("background", "unmethylated", "methylated")  # what an unknown tissue can be in a region


@dataclass(frozen=True)
class Evidence:
    """Reads that are alike, counted.

    **Shapes**: likelihood [m, tissues] and unknown [m, states], up to one factor for each row; weight [m], how many
    reads it stands for; region [m] int64.
    """

    likelihood: np.ndarray
    unknown: np.ndarray
    weight: np.ndarray
    region: np.ndarray

    def __len__(self) -> int:
        return len(self.weight)

    def tempered(self, donor_correlation: float) -> Evidence:
        """n reads of a region count as n / (1 + (n - 1) * correlation): a donor is not the mean of its tissue, and no
        depth tells more of the tissue than that donor knows."""
        total = np.bincount(self.region, self.weight)[self.region]
        return replace(self, weight=self.weight / np.maximum(1 + (total - 1) * donor_correlation, 1))


@dataclass(frozen=True)
class Reads:
    """Reads of one sample. **Shapes**: region, n_meth, n_cov, weight [m]; scores [m, tissues], what a model says (log
    likelihoods up to a constant for each read), or None where no model was asked."""

    region: np.ndarray
    n_meth: np.ndarray
    n_cov: np.ndarray
    weight: np.ndarray
    scores: np.ndarray | None = None

    @property
    def total(self) -> float:
        return float(self.weight.sum())

    def taken(self, kept: np.ndarray) -> Reads:
        """Those of a mask or of numbers."""
        scores = None if self.scores is None else self.scores[kept]
        return Reads(self.region[kept], self.n_meth[kept], self.n_cov[kept], self.weight[kept], scores)


def gather_evidence(tables: LikelihoodTables, reads: Reads, *, source: Source = "tables") -> Evidence:
    """Evidence of the tables, of a model's scores, or of both (their mean logarithm); tissues are those of the tables.

    The model scores known tissues only. An unknown one is then the mean of its tissues, changed by as much as the
    tables say that the state changes theirs.
    """
    cells = np.stack([reads.region, reads.n_meth, reads.n_cov]).astype(np.int64)
    weight, scores = reads.weight, reads.scores
    if source == "tables" or scores is None:
        cells, inverse = np.unique(cells, axis=1, return_inverse=True)
        weight = np.bincount(inverse.ravel(), weight, minlength=cells.shape[1])
        log, scores = tables.log_likelihood(*cells), None
    elif source == "model":
        log = scores
    else:
        of_tables = tables.log_likelihood(*cells)
        log = 0.5 * (scores - logsumexp(scores, axis=1, keepdims=True))
        log = log + 0.5 * (of_tables - logsumexp(of_tables, axis=1, keepdims=True))
    states = mixture_log_likelihood(state_profiles(tables), *cells)  # [m, states]
    scale = log.max(1, keepdims=True)
    likelihood = np.exp(log - scale, dtype=np.float64)
    if scores is None:
        unknown = np.exp(states - scale, dtype=np.float64)
    else:
        unknown = likelihood.mean(1, keepdims=True) * np.exp(states - states[:, :1], dtype=np.float64)
    return Evidence(likelihood, unknown, weight.astype(float), cells[0])


def state_profiles(tables: LikelihoodTables) -> np.ndarray:
    """Rates [regions, states, rates] of an unknown tissue: as the median of the known ones, or as those
    region-tissue pairs have on average that are less methylated than most tissues there, or more.

    Regions that are unmethylated in all tissues say nothing of how a marker looks. Where no pair stands out the most
    extreme ones serve.
    """
    flat = tables.weights.reshape(-1, len(RATES))
    apart = (tables.means - np.median(tables.means, axis=1, keepdims=True)).ravel()
    low, high = max(-STANDS_OUT, apart.min()), min(STANDS_OUT, apart.max())
    ends = [flat[apart <= low].mean(0), flat[apart >= high].mean(0)]
    background = np.median(tables.weights, axis=1)
    background /= background.sum(1, keepdims=True)
    return np.stack([background, *(np.broadcast_to(end, background.shape) for end in ends)], axis=1)


def expected_states(panel: pd.DataFrame, tissues: list[str], *, turned: float, orphan: float = 0.5) -> np.ndarray:
    """Chance of each of `STATES` for an unknown tissue in the regions of `panel` (target, direction), before any read.

    A marker of a tissue that is not among the reference's `tissues` is turned in its direction with chance `orphan`,
    for it is what such a tissue would show; any other region either way with chance `turned`.
    """
    states = np.tile([1 - 2 * turned, turned, turned], (len(panel), 1))
    known = panel["target"].isin([*tissues, ""]).to_numpy()
    for state, direction in ((1, "U"), (2, "M")):
        own = ~known & (panel["direction"] == direction).to_numpy()
        states[own] = [1 - orphan - turned, turned, turned]
        states[own, state] = orphan
    return states
