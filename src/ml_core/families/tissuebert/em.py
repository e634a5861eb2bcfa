"""Proportions of tissues in a sample, by expectation maximisation over its reads, with one tissue that nobody knows.

A read comes from tissue t with chance pi_t, or with chance u from an unknown tissue. What the unknown one is in a
region is not known either: most regions look in it as they do on average (a marker of one tissue is none of another),
some are turned to unmethylated or methylated. The turned regions are found together with the proportions: a tissue
that the
reference lacks shows itself where it differs from all known ones, and as what is missing from their markers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.evidence import Evidence

FLOOR = 1e-12
STARTS = (0.03, 0.2)  # of the unknown share
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Mixture:
    """proportions [tissues] and unknown, which sum to 1; states [regions, states]: what the unknown tissue is where;
    objective: log likelihood of the reads over all that the states can be."""

    proportions: np.ndarray
    unknown: float
    states: np.ndarray
    objective: float

    @property
    def whole(self) -> np.ndarray:
        """Proportions with the unknown share behind them, [tissues + 1]."""
        return np.append(self.proportions, self.unknown)


def deconvolve(
    evidence: Evidence,
    *,
    states: np.ndarray,
    unknown: bool = True,
    concentration: float = 1.0,
    rounds: int = 8,
) -> Mixture:
    """The most likely proportions. states [regions, states]: chance of what an unknown tissue is in a region, before
    any read (`evidence.expected_states`); concentration: of a Dirichlet prior over tissues; below 1 prefers few
    tissues.

    An unknown share of 0 is a fixed point of the iteration, so that it starts from several and keeps the likeliest.
    """
    prior = np.log(np.maximum(states, FLOOR))
    known = maximise(evidence.likelihood, evidence.weight[:, None], concentration=concentration)[0]
    best = Mixture(known, 0.0, states, objective(evidence, np.append(known, 0.0), prior)[0])
    for share in STARTS if unknown else ():
        found = np.append(known * (1 - share), share)
        for _ in range(rounds):
            before = found
            _, likelihood, weight = expand(evidence, objective(evidence, found, prior)[1])
            found = maximise(
                likelihood, weight[:, None], start=found[None], concentration=concentration, iterations=30
            )[0]
            if np.abs(found - before).max() < TOLERANCE:
                break
        value, turned = objective(evidence, found, prior)
        if value > best.objective:
            best = Mixture(found[:-1], float(found[-1]), turned, value)
    return best


def objective(evidence: Evidence, proportions: np.ndarray, prior: np.ndarray) -> tuple[float, np.ndarray]:
    """Log likelihood of all reads under proportions [tissues + 1], and the chance of each state of the unknown tissue
    in each region, [regions, states]; prior: logarithm of that chance before any read."""
    known = evidence.likelihood @ proportions[:-1]
    log = evidence.weight[:, None] * np.log(np.maximum(known[:, None] + proportions[-1] * evidence.unknown, FLOOR))
    total = prior + np.stack([np.bincount(evidence.region, each, minlength=len(prior)) for each in log.T], axis=1)
    most = total.max(1, keepdims=True)
    chance = np.exp(total - most)
    value = float((np.log(chance.sum(1)) + most[:, 0]).sum())
    return value, chance / chance.sum(1, keepdims=True)


def expand(evidence: Evidence, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads once for each state that their region may be in: their row [n], likelihood [n, tissues + 1], weight [n]."""
    share = states[evidence.region]
    row, state = np.nonzero(share > 1e-3)
    likelihood = np.column_stack([evidence.likelihood[row], evidence.unknown[row, state]])
    return row, likelihood, evidence.weight[row] * share[row, state]


def maximise(
    likelihood: np.ndarray,
    weight: np.ndarray,
    *,
    start: np.ndarray | None = None,
    concentration: float = 1.0,
    iterations: int = 500,
    tolerance: float = 1e-6,
) -> np.ndarray:
    """Proportions [draws, tissues] that make reads most likely: likelihood [m, tissues], weight [m, draws].

    EM, sped up by squared extrapolation (SQUAREM; Varadhan and Roland, 2008).
    """
    draws, tissues = weight.shape[1], likelihood.shape[1]
    x = np.full((draws, tissues), 1 / tissues) if start is None else np.maximum(start, 1e-6)
    x = x / x.sum(1, keepdims=True)
    for _ in range(iterations // 3):
        one = step(likelihood, weight, x, concentration)
        two = step(likelihood, weight, one, concentration)
        r, v = one - x, two - 2 * one + x
        size = np.sqrt((r**2).sum(1, keepdims=True) / np.maximum((v**2).sum(1, keepdims=True), 1e-30))
        size = np.clip(size, 1, 64)
        ahead = np.maximum(x + 2 * size * r + size**2 * v, two / 100)
        new = step(likelihood, weight, ahead / ahead.sum(1, keepdims=True), concentration)
        change = np.abs(new - x).max()
        x = new
        if change < tolerance:
            break
    return x


def step(likelihood: np.ndarray, weight: np.ndarray, x: np.ndarray, concentration: float) -> np.ndarray:
    """One round of EM on proportions x [draws, tissues]."""
    mix = np.maximum(likelihood @ x.T, FLOOR)  # [m, draws]
    counts = x * ((weight / mix).T @ likelihood)
    counts = np.maximum(counts + concentration - 1, FLOOR)
    return counts / counts.sum(1, keepdims=True)
