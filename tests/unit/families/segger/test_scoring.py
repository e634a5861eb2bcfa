"""Scores belong to a transcript, whatever tiles are scored beside its own."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.families.segger.data import FULL
from ml_core.families.segger.scoring import Scores, score_tiles
from tests.unit.families.segger.tiny import Tiny


@pytest.fixture(scope="module")
def scores(tiny: Tiny) -> Scores:
    return score_tiles(tiny.task(), tiny.samples(splits=None, folds=3))


def test_every_kept_transcript_with_a_candidate_is_judged_once(tiny: Tiny, scores: Scores) -> None:
    candidates = tiny.graph.views[FULL].candidates
    assert np.array_equal(scores.transcript, np.flatnonzero(candidates[:, 0] >= 0))
    assert (candidates[scores.transcript, scores.best] >= 0).all()
    np.testing.assert_allclose(scores.chance.sum(axis=1), 1, rtol=1e-5)
    assert (scores.chance[candidates[scores.transcript] < 0] == 0).all()


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_scores_do_not_depend_on_how_tiles_are_grouped(tiny: Tiny, scores: Scores, at_once: int) -> None:
    other = score_tiles(tiny.task(), tiny.samples(splits=None, folds=3), at_once=at_once)
    assert np.array_equal(other.transcript, scores.transcript)
    np.testing.assert_allclose(other.chance, scores.chance, atol=1e-5)
    np.testing.assert_allclose(other.evidence, scores.evidence, atol=1e-5)


def test_tiles_scored_in_two_halves_have_the_scores_of_the_whole(tiny: Tiny, scores: Scores) -> None:
    for chosen in (np.arange(4), np.arange(4, 10)):
        half = score_tiles(tiny.task(), tiny.samples(splits=None, folds=3, chosen=chosen))
        place = np.searchsorted(scores.transcript, half.transcript)
        assert np.array_equal(scores.transcript[place], half.transcript)
        np.testing.assert_allclose(half.chance, scores.chance[place], atol=1e-5)


def test_the_evidence_is_that_of_the_best_candidate(tiny: Tiny, scores: Scores) -> None:
    profiles, graph = tiny.profiles(tiny.graph, FULL), tiny.graph
    gene = graph.gene[scores.transcript]
    cell = graph.views[FULL].candidates[scores.transcript, scores.best]
    ratio = profiles.ratio_of(gene, cell[:, None], counted_in=graph.nucleus[scores.transcript])
    np.testing.assert_allclose(scores.evidence, ratio[:, 0] - profiles.best_ratio[gene], atol=1e-5)
    assert (scores.chance.argmax(axis=1) == scores.best).all()
