"""Reads of a sample -> proportions of tissues with intervals, unknown share, and how well the reads fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.em import Mixture, deconvolve
from ml_core.families.tissuebert.evidence import Evidence, Reads, Source, expected_states, gather_evidence
from ml_core.families.tissuebert.intervals import bootstrap, interval, standard_errors
from ml_core.families.tissuebert.likelihoods import CLASS, RATES, LikelihoodTables
from ml_core.families.tissuebert.unknown_curve import AS_FOUND, UnknownCurve


@dataclass(frozen=True)
class Estimator:
    """How proportions are estimated at one depth. widen: factor on the bootstrap's intervals, curve: how an unknown
    share is read, both learnt on validation donors; panel: the regions' frame (target, direction)."""

    tables: LikelihoodTables
    panel: pd.DataFrame
    source: Source
    concentration: float
    donor_correlation: float
    turned: float
    widen: float = 1.0
    curve: UnknownCurve = AS_FOUND

    def evidence(self, reads: Reads) -> Evidence:
        return gather_evidence(self.tables, reads, source=self.source).tempered(self.donor_correlation)

    def mixture(self, evidence: Evidence, *, unknown: bool = True) -> Mixture:
        return self.read(self.as_found(evidence, unknown=unknown))

    def as_found(self, evidence: Evidence, *, unknown: bool = True) -> Mixture:
        """The mixture before the curve."""
        states = expected_states(self.panel, self.tables.tissues, turned=self.turned)
        return deconvolve(evidence, states=states, unknown=unknown, concentration=self.concentration)

    def read(self, mixture: Mixture) -> Mixture:
        """The mixture after it."""
        whole = self.curve.shares(mixture.whole)
        return replace(mixture, proportions=whole[:-1], unknown=float(whole[-1]))


@dataclass(frozen=True)
class Estimate:
    """**Shapes**: proportions, low, high [tissues + 1], the unknown tissue last; draws [draws, tissues + 1]; errors
    [tissues + 1]; residual: how much more the regions differ from the fit than they should (1: not at all)."""

    mixture: Mixture
    proportions: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray
    errors: np.ndarray
    residual: float


def estimate(how: Estimator, reads: Reads, *, draws: int, seed: int) -> Estimate:
    """Proportions with bootstrap intervals."""
    evidence = how.evidence(reads)
    found = how.as_found(evidence)
    drawn = how.curve.shares(bootstrap(evidence, found, concentration=how.concentration, draws=draws, seed=seed))
    errors, mixture = standard_errors(evidence, found), how.read(found)
    low, high = interval(mixture.whole, drawn, errors, widen=how.widen)
    return Estimate(mixture, mixture.whole, low, high, drawn, errors, residual(how, reads, mixture))


def residual(how: Estimator, reads: Reads, mixture: Mixture) -> float:
    """Mean over regions of the squared difference between the methylation seen and fitted, in units of what reads and
    donors explain (Pearson). The unknown tissue is left out of the fit's mean, so that it counts as a difference."""
    tables, count = how.tables, len(how.tables.weights)
    known = mixture.proportions / max(mixture.proportions.sum(), 1e-12)
    shares = np.einsum("rtc,t->rc", tables.weights @ CLASS, known)  # [regions, classes]
    level = np.einsum("rtc,t->rc", tables.weights, known) @ RATES
    fitted = np.clip(level, 0.01, 0.99)
    number = np.bincount(reads.region, reads.weight, minlength=count)
    share = reads.n_meth / np.maximum(reads.n_cov, 1)
    seen = np.bincount(reads.region, reads.weight * share, minlength=count) / np.maximum(number, 1e-9)
    spread = shares @ np.array([0.0, 0.5, 1.0]) ** 2 - (shares @ np.array([0.0, 0.5, 1.0])) ** 2
    variance = np.maximum(spread, 0.01) * (1 / np.maximum(number, 1e-9) + how.donor_correlation)
    there = number > 0
    return float(((seen - fitted)[there] ** 2 / variance[there]).mean()) if there.any() else float("nan")


def contributions(how: Estimator, reads: Reads, mixture: Mixture) -> np.ndarray:
    """What each region's reads say for each tissue, in nats, [regions, tissues]: how much less likely they are where
    the tissue's share is given to the others."""
    evidence = how.evidence(reads)
    pi = mixture.proportions
    full = np.maximum(evidence.likelihood @ pi, 1e-12)
    found = np.empty((len(how.tables.weights), len(pi)))
    for tissue, share in enumerate(pi):
        without = np.maximum(full - share * evidence.likelihood[:, tissue], 1e-12) / max(1 - share, 1e-6)
        gained = evidence.weight * np.log(full / without)
        found[:, tissue] = np.bincount(evidence.region, gained, minlength=len(found))
    return found
