from __future__ import annotations

import numpy as np

from ml_core.families.segger.baselines import best_candidate, likelihood, nearest_centroid, nearest_polygon, smoothed
from ml_core.families.segger.ring import ring_metrics


def test_the_nearest_candidate_wins_and_padding_never_does() -> None:
    candidate = np.array([[4, 7, -1], [2, -1, -1], [-1, -1, -1]])
    distance = np.array([[3.0, 1.0, np.inf], [0.0, np.inf, np.inf], [np.inf] * 3])
    cell, score = best_candidate(candidate, nearest_polygon(distance))
    assert cell.tolist() == [7, 2, -1]
    assert score.tolist() == [-1.0, 0.0, -np.inf]


def test_the_centroid_baseline_measures_the_offset() -> None:
    assert nearest_centroid(np.array([[[3.0, 4.0], [0.0, 1.0]]])).tolist() == [[-5.0, -1.0]]


def test_likelihood_prefers_the_nucleus_whose_kind_has_the_gene() -> None:
    rng = np.random.default_rng(0)
    kind = np.arange(80) % 2
    counts = np.stack([rng.poisson([8, 8, 0.2, 0.2] if k == 0 else [0.2, 0.2, 8, 8]) for k in kind])
    candidate = np.array([[0, 1], [0, 1]])
    score = likelihood(np.array([0, 2]), candidate, np.ones((2, 2)), profiles=smoothed(counts))
    assert best_candidate(candidate, score)[0].tolist() == [0, 1]
    far = likelihood(np.array([0, 2]), candidate, np.array([[100.0, 1.0], [1.0, 100.0]]), profiles=smoothed(counts))
    assert best_candidate(candidate, far)[0].tolist() == [1, 0]


def test_a_ring_transcript_whose_nucleus_is_no_candidate_counts_as_wrong() -> None:
    candidate = np.array([[0, 1], [0, 1], [0, -1], [1, 0]])
    score = np.array([[2.0, 1.0], [1.0, 2.0], [1.0, -9.0], [3.0, 0.0]])
    seen = ring_metrics(candidate, score, np.array([0, 1, 5, 1]))
    assert seen["top1"] == 0.75
    assert seen["auroc"] == 1.0
    assert seen["transcripts"] == 4
