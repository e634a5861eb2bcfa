"""Proportions of tissues in a sample, by iteration over its reads, with one tissue that nobody knows.

A read comes from tissue t with chance pi_t, or with chance u from an unknown tissue. What the unknown one is in a
region is not known either: most regions look in it as they do on average (a marker of one tissue is none of another),
some are turned to unmethylated or methylated. The turned regions are found together with the proportions: a tissue
that the reference lacks shows itself where it differs from all known ones, and as what is missing from their markers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from ml_core.families.tissuebert.evidence import Evidence

FLOOR = 1e-12
STARTS = (0.03, 0.1, 0.2)  # of the unknown share
SMALLEST_START = 1e-4
NOTHING = 1e-6  # a smaller share is none
JEFFREYS = 0.5  # a Dirichlet prior that leaves a share where the reads see it
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
    """Proportions in the light of all reads. states [regions, states]: chance of what an unknown tissue is in a region,
    before any read (`evidence.expected_states`); concentration: of a Dirichlet prior over tissues; below 1 prefers few
    tissues.

    An unknown share of 0 is a fixed point of the iteration, so that it starts from several and keeps the likeliest.
    """
    prior = np.log(np.maximum(states, FLOOR))
    of_tissues = pseudo_reads(evidence.likelihood.shape[1], concentration=concentration)
    known = explain(evidence.likelihood, evidence.weight[:, None], pseudo=of_tissues[:-1])[0]
    best = Mixture(known, 0.0, states, objective(evidence, np.append(known, 0.0), prior)[0])
    for share in STARTS if unknown else ():
        found = np.append(known * (1 - share), share)
        for _ in range(rounds):
            before = found
            _, likelihood, weight = expand(evidence, objective(evidence, found, prior)[1])
            found = explain(likelihood, weight[:, None], start=found[None], pseudo=of_tissues, iterations=30)[0]
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


def pseudo_reads(tissues: int, *, concentration: float) -> np.ndarray:
    """Dirichlet prior [tissues + 1]: the same for each tissue, and Jeffreys' for the unknown, which is to be found as
    often as it is there."""
    return np.append(np.full(tissues, concentration), JEFFREYS)


def explain(
    likelihood: np.ndarray,
    weight: np.ndarray,
    *,
    pseudo: np.ndarray,
    start: np.ndarray | None = None,
    iterations: int = 400,
    tolerance: float = 1e-5,
) -> np.ndarray:
    """Shares [draws, tissues] of the reads that are laid to each tissue, under a Dirichlet prior `pseudo` [tissues]:
    likelihood [m, tissues], weight [m, draws].

    Variational Bayes (Blei, Ng and Jordan, 2003; a mixture with known components): a tissue with few reads yields to
    those with many as far as the prior asks for it. The most probable proportions would not do: with a concentration
    below 1 they are those of one tissue alone, whatever the reads say.
    """
    draws, tissues = weight.shape[1], likelihood.shape[1]
    total = weight.sum(0)[:, None]
    x = np.full((draws, tissues), 1 / tissues) if start is None else np.maximum(start, SMALLEST_START)
    for _ in range(iterations):
        rate = np.exp(digamma(x * total + pseudo) - np.log(total)).astype(likelihood.dtype)
        new = rate * ((weight / np.maximum(likelihood @ rate.T, FLOOR)).T @ likelihood)
        new = new / np.maximum(new.sum(1, keepdims=True), FLOOR)
        change = np.abs(new - x).max()
        x = new
        if change < tolerance:
            break
    return np.where(x < NOTHING, 0.0, x)


def maximise(
    likelihood: np.ndarray, weight: np.ndarray, *, iterations: int = 500, tolerance: float = 1e-6
) -> np.ndarray:
    """Proportions [draws, tissues] that make reads most likely: likelihood [m, tissues], weight [m, draws].

    EM, sped up by squared extrapolation (SQUAREM; Varadhan and Roland, 2008).
    """
    draws, tissues = weight.shape[1], likelihood.shape[1]
    x = np.full((draws, tissues), 1 / tissues)
    for _ in range(iterations // 3):
        one = step(likelihood, weight, x)
        two = step(likelihood, weight, one)
        r, v = one - x, two - 2 * one + x
        size = np.sqrt((r**2).sum(1, keepdims=True) / np.maximum((v**2).sum(1, keepdims=True), 1e-30))
        size = np.clip(size, 1, 64)
        ahead = np.maximum(x + 2 * size * r + size**2 * v, two / 100)
        new = step(likelihood, weight, ahead / ahead.sum(1, keepdims=True))
        change = np.abs(new - x).max()
        x = new
        if change < tolerance:
            break
    return x


def step(likelihood: np.ndarray, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One round of EM on proportions x [draws, tissues]."""
    mix = np.maximum(likelihood @ x.T, FLOOR)  # [m, draws]
    counts = x * ((weight / mix).T @ likelihood)
    found: np.ndarray = counts / counts.sum(1, keepdims=True)
    return found
