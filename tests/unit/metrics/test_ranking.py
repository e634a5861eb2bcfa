"""Ranks equal a brute-force count, whatever the chunks; ties get the middle; known pairs never compete."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ml_core.metrics.ranking import filtered_ranks, lifted_ranks, rank_metrics, reciprocal_and_hits


def brute_force(scores: np.ndarray, rows: np.ndarray, columns: np.ndarray, known: np.ndarray) -> list[float]:
    ranks = []
    for row, column in zip(rows, columns, strict=True):
        others = [scores[row, c] for c in range(scores.shape[1]) if not known[row, c]]
        best = 1 + sum(other > scores[row, column] for other in others)
        worst = best + sum(other == scores[row, column] for other in others)
        ranks.append((best + worst) / 2)
    return ranks


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Integer factors, so that ties are exact and frequent; known pairs; cells of a chunk."""
    a, b, f = draw(st.integers(1, 8)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    queries, candidates = rng.integers(-2, 3, (a, f)), rng.integers(-2, 3, (b, f))
    known = rng.random((a, b)) < draw(st.floats(0.05, 0.9))
    known[rng.integers(a), rng.integers(b)] = True
    return queries.astype(np.float32), candidates.astype(np.float32), known, draw(st.integers(1, 100))


@given(problems())
@settings(max_examples=200, deadline=None)
def test_ranks_are_those_of_a_count_by_hand(problem: tuple[np.ndarray, np.ndarray, np.ndarray, int]) -> None:
    queries, candidates, known, cells = problem
    rows, columns = np.nonzero(known)
    order = np.random.default_rng(0).permutation(len(rows))
    rows, columns = rows[order], columns[order]
    found = filtered_ranks(queries, candidates, rows=rows, columns=columns, known=sparse.csr_matrix(known), cells=cells)
    np.testing.assert_array_equal(found, brute_force(queries @ candidates.T, rows, columns, known))


@given(problems())
@settings(max_examples=50, deadline=None)
def test_lifts_are_added_to_the_scores_of_candidates(problem: tuple[np.ndarray, np.ndarray, np.ndarray, int]) -> None:
    queries, candidates, known, cells = problem
    rows, columns = np.nonzero(known)
    lifts = np.random.default_rng(1).integers(-2, 3, (3, len(candidates))).astype(np.float32)
    pairs = {"rows": rows, "columns": columns, "known": sparse.csr_matrix(known), "cells": cells}
    found = lifted_ranks(queries, candidates, lifts=lifts, **pairs)
    for ranks, lift in zip(found, lifts, strict=True):
        np.testing.assert_array_equal(ranks, brute_force(queries @ candidates.T + lift, rows, columns, known))


def test_one_score_for_all_gets_the_middle_even_with_rounding() -> None:
    rng = np.random.default_rng(0)
    candidates = np.ones((101, 8), np.float32) + rng.normal(0, 1e-8, (101, 8)).astype(np.float32)
    known = sparse.csr_matrix(([True], ([0], [7])), shape=(1, 101))
    ranks = filtered_ranks(
        np.ones((1, 8), np.float32), candidates, rows=np.array([0]), columns=np.array([7]), known=known
    )
    assert ranks.tolist() == [51.0]


def test_a_score_that_is_no_number_has_no_rank() -> None:
    candidates = np.array([[1.0], [np.nan], [3.0]], np.float32)
    known = sparse.csr_matrix(([True], ([0], [2])), shape=(1, 3))
    ranks = filtered_ranks(
        np.ones((1, 1), np.float32), candidates, rows=np.array([0]), columns=np.array([2]), known=known
    )
    assert np.isnan(ranks).all()
    assert np.isnan(rank_metrics(ranks)["mrr"])
    assert np.isnan(rank_metrics(ranks)["hits10"])


def test_metrics_of_ranks_by_hand() -> None:
    ranks = np.array([[1.0, 2.0], [4.0, 20.0]])
    assert rank_metrics(ranks) == pytest.approx(
        {"mrr": (1 + 0.5 + 0.25 + 0.05) / 4, "hits1": 0.25, "hits3": 0.5, "hits10": 0.75}
    )
    np.testing.assert_allclose(reciprocal_and_hits(ranks)["mrr"], [0.75, 0.15])
