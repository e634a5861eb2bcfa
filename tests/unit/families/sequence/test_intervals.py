"""Intervals of predictions: they contain what they promise, and rest on heads that had not seen the group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.artifacts import Artifact
from ml_core.families.sequence import intervals
from ml_core.families.sequence.evaluate import Said
from ml_core.families.sequence.intervals import PER_BAND, cross_predict, fit_interval
from ml_core.families.sequence.model_settings import PredictorSettings
from ml_core.families.sequence.predictor_samples import PredictorSamples
from tests.unit.families.sequence.small import small_table
from tests.unit.families.sequence.test_predictor_stage import TINY, encoder, prepared

__all__ = ["encoder"]


def said(point: np.ndarray, *, spread: float = 0.0) -> Said:
    return Said(point[:, None], point, point - spread, point + spread, point)


def drawn(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, and the truth that lies the further off the higher they are, to one side more than to the other."""
    point = rng.uniform(0, 10, count)
    return point, point + (0.2 + 0.3 * point) * (rng.gamma(2.0, size=count) - 1.5)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_of_new_samples_the_share_that_was_asked_for_is_contained_in_every_band(level: float, spread: float) -> None:
    rng = np.random.default_rng(0)
    point, true = drawn(rng, 3000)
    interval = fit_interval(said(point, spread=spread), true, level=level, bands=3)
    assert len(interval.edges) == 2
    point, true = drawn(rng, 30_000)
    low, high = interval.around(point, point - spread, point + spread)
    band = np.searchsorted(interval.edges, point)
    for number in range(3):
        inside = ((low <= true) & (true <= high))[band == number]
        assert abs(inside.mean() - level) < 0.04
    assert (high - low)[point > 8].mean() > 1.5 * (high - low)[point < 2].mean()


@given(st.integers(1, 4 * PER_BAND), st.integers(1, 5), st.integers(0, 100))
def test_every_band_rests_on_enough_errors(count: int, bands: int, seed: int) -> None:
    point, true = drawn(np.random.default_rng(seed), count)
    interval = fit_interval(said(point), true, level=0.9, bands=bands)
    assert len(interval.below) == len(interval.above) == len(interval.edges) + 1
    assert len(interval.below) <= max(1, count // PER_BAND)
    assert np.isfinite([*interval.below, *interval.above]).all()


def test_of_few_errors_the_interval_contains_all() -> None:
    point, true = drawn(np.random.default_rng(3), 10)
    low, high = fit_interval(said(point), true, level=0.9, bands=3).around(point, point, point)
    assert ((low <= true) & (true <= high)).all()


def test_what_is_said_of_a_group_does_not_depend_on_its_own_answers(encoder: Artifact, tmp_path: Path) -> None:
    settings = PredictorSettings(**TINY, interval_folds=3, device="cpu", learning_rate=1e-2)
    group = np.array(["a", "a", "b", "b", "c", "c"])
    found = []
    for turned in (False, True):
        training = prepared(encoder).training
        samples = training.train
        assert isinstance(samples, PredictorSamples)
        if turned:
            samples.answer = np.where(group == "b", 50.0, samples.answer).astype(np.float32)
        before = {name: value.clone() for name, value in training.task.model.state_dict().items()}
        said = cross_predict(training, small_table(), group, settings=settings, limit=100, work=tmp_path / str(turned))
        assert all((before[name] == value).all() for name, value in training.task.model.state_dict().items())
        found.append(said.point)
    mine = group == "b"
    np.testing.assert_allclose(found[0][mine], found[1][mine], rtol=1e-5)
    assert (np.abs(found[0] - found[1])[~mine] > 1e-3).all()


def test_each_answer_stands_at_its_own_sample(
    encoder: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "fit", lambda *_, **__: None)
    monkeypatch.setattr(intervals, "predict_samples", lambda task, table, rows, **_: said(rows.astype(float)))
    training = prepared(encoder).training
    samples = training.train
    assert isinstance(samples, PredictorSamples)
    group = np.array(["a", "b", "c", "a", "b", "c"])
    settings = PredictorSettings(**TINY, interval_folds=3, device="cpu")
    found = cross_predict(training, small_table(), group, settings=settings, limit=100, work=tmp_path)
    np.testing.assert_array_equal(found.point, samples.rows)
