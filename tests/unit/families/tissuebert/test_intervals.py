"""Intervals hold the truth as often as they say, and nothing of a tissue that is not there is no error of theirs."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.families.tissuebert.em import deconvolve
from ml_core.families.tissuebert.evidence import Evidence
from ml_core.families.tissuebert.intervals import WIDENINGS, bootstrap, choose_widening, covered, interval

STATES = np.tile([1.0, 0.0, 0.0], (40, 1))


def evidence(truth: np.ndarray, *, seed: int) -> Evidence:
    """Reads of 40 regions, ten for each of four tissues to tell, thirty in each."""
    rng = np.random.default_rng(seed)
    region = np.repeat(np.arange(40), 30)
    own = np.arange(40) // 10
    chance = np.where(own[:, None] == np.arange(4), 0.8, 0.05)  # [regions, tissues] of a telling read
    telling = rng.random(len(region)) < (chance @ truth)[region]
    likelihood = np.where(telling[:, None], chance[region], 1 - chance[region])
    return Evidence(likelihood, np.tile(np.median(likelihood, axis=1)[:, None], 3), np.ones(len(region)), region)


def test_a_tissue_that_is_not_there_has_an_interval_from_zero() -> None:
    """Whatever is left of it by rounding lies below 0 nowhere and above it nowhere."""
    truth = np.array([0.8, 0.2, 0.0, 0.0])
    seen = evidence(truth, seed=1)
    mixture = deconvolve(seen, states=STATES, unknown=False, concentration=0.05)
    draws = bootstrap(seen, mixture, concentration=0.05, draws=100, seed=0)
    low, high = interval(mixture.whole, draws, np.full(5, 0.01), widen=1.5)
    assert (low[2:4] == 0).all()
    assert (high[2:4] > 0).all()
    assert (low[:2] > 0.05).all()


def test_the_least_widening_that_holds_the_truth_is_taken() -> None:
    rng = np.random.default_rng(0)
    truths = [np.array([0.6, 0.4])] * 200
    points = [truth + rng.normal(0, 0.03, 2) for truth in truths]
    draws = [point + rng.normal(0, 0.01, (400, 2)) for point in points]  # three times too narrow
    errors = [np.zeros(2)] * 200
    widen = choose_widening(points, draws, errors, truths)
    assert widen == pytest.approx(3, abs=0.35)
    inside = [
        covered(truth, *interval(point, drawn, error, widen=widen))
        for point, drawn, error, truth in zip(points, draws, errors, truths, strict=True)
    ]
    assert np.concatenate(inside).mean() == pytest.approx(0.95, abs=0.02)
    assert widen in WIDENINGS
