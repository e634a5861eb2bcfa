"""How methods are compared: at equal shares, on equal transcripts, with intervals; what is missing breaks nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.segger import baselines, evaluate
from ml_core.families.segger.data import FULL
from ml_core.families.segger.evaluate import MODEL, Assignment, PlausibleAssignment, Ring
from ml_core.families.segger.scoring import Scores
from tests.unit.families.segger.tiny import Tiny


def random_ring(seed: int, n: int = 80, *, skill: float = 1.0) -> Ring:
    rng = np.random.default_rng(seed)
    candidates = np.argsort(rng.random((n, 12)), axis=1)[:, :4]
    truth = candidates[np.arange(n), rng.integers(0, 4, n)]
    right = candidates == truth[:, None]
    chance = rng.random((n, 4)) + skill * right
    scores = {MODEL: chance / chance.sum(axis=1, keepdims=True), "nearest_polygon": rng.random((n, 4))}
    return Ring(np.arange(n), truth, candidates, scores)


@given(share=st.floats(0, 1), seed=st.integers(0, 100))
def test_at_a_share_the_best_scored_are_kept(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell, score = rng.integers(0, 5, 50), rng.normal(size=50)
    kept = Assignment(cell, score).at_share(share)
    assert (kept >= 0).sum() == round(share * 50)
    assert (kept[kept >= 0] == cell[kept >= 0]).all()
    if 0 < (kept >= 0).sum() < 50:
        assert score[kept >= 0].min() >= score[kept < 0].max()


def test_the_baselines_choose_among_the_models_candidates(tiny: Tiny) -> None:
    view = tiny.graph.views[FULL]
    for score in evaluate.baseline_scores(tiny.graph, FULL).values():
        assert score.shape == view.candidates.shape
        assert np.isfinite(score[view.candidates >= 0]).all()


def test_baselines_of_some_rows_are_those_of_all(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    view, profiles = tiny.graph.views[FULL], evaluate.smoothed_profiles(tiny.graph, FULL)
    whole = evaluate.baseline_scores(tiny.graph, FULL)
    some = np.arange(5, len(view.candidates), 3)
    for name, score in evaluate.baseline_scores(tiny.graph, FULL, rows=some, profiles=profiles).items():
        np.testing.assert_array_equal(score, whole[name][some])
    ratio = profiles.ratio[view.candidates, np.asarray(tiny.graph.gene)[:, None]]
    expected = np.where(view.candidates >= 0, ratio - view.distance / baselines.SCALE_UM, -np.inf)
    np.testing.assert_array_equal(whole["likelihood"], expected)
    monkeypatch.setattr(evaluate, "ROWS_AT_ONCE", 100)
    for name, found in evaluate.baseline_assignments(tiny.graph, FULL, profiles=profiles).items():
        cell, score = baselines.best_candidate(view.candidates, whole[name])
        np.testing.assert_array_equal(found.cell, cell)
        np.testing.assert_array_equal(found.score, score)


def test_plausible_nuclei_of_some_rows_at_a_time_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    candidates = rng.integers(0, 30, (90, 4)).astype(np.int32)
    chance, fit = rng.random((2, 90, 4)).astype(np.float32)

    def found() -> list[np.ndarray]:
        ours = PlausibleAssignment.of(candidates, chance, fit)
        return [ours.cell, ours.at_share(0.5)]

    whole = found()
    monkeypatch.setattr(evaluate, "ROWS_AT_ONCE", 7)
    for one, other in zip(whole, found(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_interval_from_some_draws_at_a_time_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = random_ring(5)
    whole = evaluate.top1_interval(ring, method=MODEL, draws=50)
    monkeypatch.setattr(evaluate, "WEIGHTS_AT_ONCE", 60)
    assert evaluate.top1_interval(ring, method=MODEL, draws=50) == whole


def test_the_ring_holds_the_chances_of_the_held_out_only(tiny: Tiny) -> None:
    held, shape = np.flatnonzero(tiny.graph.held_out("0.50")), tiny.graph.views["0.50"].candidates.shape
    chance = np.random.default_rng(0).random(shape).astype(np.float32)
    everything = Scores(np.arange(shape[0]), chance, chance)
    wanted = Scores(held[1:], chance[held[1:]], chance[held[1:]])  # the first one was not judged
    one, other = (evaluate.ring_of(tiny.graph, view="0.50", scores=scores) for scores in (everything, wanted))
    np.testing.assert_array_equal(one.scores[MODEL], chance[held])
    np.testing.assert_array_equal(other.scores[MODEL][1:], chance[held[1:]])
    assert not other.scores[MODEL][0].any()


def test_a_ring_of_some_rows_is_that_of_those_rows() -> None:
    ring = random_ring(0)
    chosen = np.arange(80) % 2 == 0
    part = ring.of(chosen)
    assert part.rows.tolist() == ring.rows[chosen].tolist()
    right = part.scores[MODEL].argmax(axis=1) == (part.candidates == part.truth[:, None]).argmax(axis=1)
    assert part.metrics()[MODEL]["top1"] == pytest.approx(right.mean())


def test_the_interval_of_a_method_against_itself_is_zero_and_of_a_better_one_above() -> None:
    ring = random_ring(1, skill=3.0)
    assert evaluate.top1_interval(ring, method=MODEL, against=MODEL, draws=50) == (0.0, 0.0)
    low, high = evaluate.top1_interval(ring, method=MODEL, against="nearest_polygon", draws=200)
    assert 0 < low < high
    mirrored = evaluate.top1_interval(ring, method="nearest_polygon", against=MODEL, draws=200)
    assert mirrored == pytest.approx((-high, -low))


def test_the_threshold_of_f1_comes_from_validation_and_never_from_the_test() -> None:
    test, validation = random_ring(2), random_ring(3)
    score = evaluate.f1_at_validation_threshold(test, validation)
    assert score <= evaluate.f1_at_validation_threshold(test, test)
    assert 0 < score < 1


def test_calibration_is_perfect_where_chances_are_true_and_bad_where_they_boast() -> None:
    n = 4000
    rng = np.random.default_rng(0)
    best = rng.uniform(0.5, 1, n)
    truth = np.where(rng.random(n) < best, 0, 1)
    candidates = np.tile([0, 1], (n, 1))
    honest = Ring(np.arange(n), truth, candidates, {MODEL: np.stack([best, 1 - best], axis=1)})
    boasting = Ring(np.arange(n), truth, candidates, {MODEL: np.tile([1.0, 0.0], (n, 1))})
    table, error = evaluate.calibration(honest)
    assert error < 0.03
    assert table["transcripts"].sum() == n
    assert evaluate.calibration(boasting)[1] == pytest.approx((truth != 0).mean())


def test_an_empty_test_gives_nan_and_no_error() -> None:
    empty = random_ring(0).of(np.zeros(80, bool))
    assert all(math.isnan(values["top1"]) for values in empty.metrics().values())
    assert math.isnan(evaluate.f1_at_validation_threshold(empty, random_ring(1)))
    assert math.isnan(evaluate.f1_at_validation_threshold(random_ring(1), empty))
    assert all(map(math.isnan, evaluate.top1_interval(empty, method=MODEL, against=MODEL, draws=10)))


@pytest.mark.filterwarnings("error")
def test_a_ring_in_which_every_transcript_has_one_candidate_has_no_auroc_and_no_error() -> None:
    alone = Ring(np.arange(5), np.arange(5), np.arange(5)[:, None], {MODEL: np.ones((5, 1))})
    found = alone.metrics()[MODEL]
    assert found["top1"] == 1.0
    assert math.isnan(found["auroc"])


def test_agreement_counts_only_what_the_vendor_assigned() -> None:
    vendor = np.array([0, 1, 1, -1, 2])
    nuclear = np.array([True, True, False, True, False])
    found = evaluate.agreement(Assignment(np.array([0, 0, 1, 3, -1]), np.zeros(5)), vendor=vendor, nuclear=nuclear)
    assert found == {"nuclear": 0.5, "cytoplasmic": 0.5}
    nobody = evaluate.agreement(Assignment(vendor, np.zeros(5)), vendor=np.full(5, -1), nuclear=nuclear)
    assert all(map(math.isnan, nobody.values()))


def test_truth_is_perfect_for_the_truth_itself() -> None:
    truth = np.array([0, 0, 1, 1, -1])
    numbers = evaluate.truth_numbers(truth, truth=truth, true_cell=truth)
    assert numbers == {"transcript_accuracy": 1.0, "cell_f1": 1.0}


def test_at_a_share_plausible_nuclei_are_those_above_its_cut() -> None:
    candidates = np.array([[0, 1], [0, 1], [0, -1], [-1, -1]])
    chance = np.array([[0.9, 0.1], [0.8, 0.2], [1.0, 0.0], [0.0, 0.0]], np.float32)
    fit = np.array([[-5.0, -0.5], [-0.1, 0.0], [-3.0, -np.inf], [-np.inf, -np.inf]], np.float32)
    assignment = evaluate.PlausibleAssignment.of(candidates, chance, fit)
    assert assignment.cell.tolist() == [0, 0, 0, -1], "all assigned: by chance"
    assert assignment.at_share(0.5).tolist() == [1, 0, -1, -1], "the first one's nearest no longer fits it"
    assert assignment.at_share(0.75).tolist() == [1, 0, 0, -1]
    assert assignment.at_share(1.0).tolist()[3] == -1


def test_an_interval_of_accuracies_is_that_of_paired_blocks() -> None:
    rng = np.random.default_rng(0)
    xy, truth = rng.uniform(0, 1000, (4000, 2)), rng.integers(0, 9, 4000)
    ours = np.where(rng.random(4000) < 0.9, truth, -1)
    kept = {"truth": truth, "xy": xy, "block_um": 100.0, "draws": 400}
    assert evaluate.accuracy_gain(ours, ours, **kept) == (0.0, 0.0)
    worse = np.where(rng.random(4000) < 0.9, ours, -1)
    low, high = evaluate.accuracy_gain(ours, worse, **kept)
    gain = (ours == truth).mean() - (worse == truth).mean()
    assert 0 < low < gain < high < 2 * gain
    assert np.isnan(evaluate.accuracy_gain(ours[:0], worse[:0], **(kept | {"truth": truth[:0], "xy": xy[:0]}))).all()
