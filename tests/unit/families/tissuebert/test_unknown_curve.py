"""How an unknown share that was found is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.tissuebert.unknown_curve import AS_FOUND, UnknownCurve

SHARES = st.lists(st.floats(0.01, 0.9), min_size=1, max_size=6, unique=True).map(sorted)
WHOLE = st.lists(st.floats(0.001, 1), min_size=2, max_size=8).map(lambda each: np.array(each) / sum(each))


@given(found=SHARES, whole=WHOLE)
def test_sums_stay_one_and_known_tissues_keep_their_relation(found: list[float], whole: np.ndarray) -> None:
    curve = UnknownCurve.through(np.array(found), np.linspace(0.05, 0.4, len(found)))
    read = curve.shares(whole)
    assert read.sum() == pytest.approx(1)
    assert read[:-1] * whole[:-1].sum() == pytest.approx(whole[:-1] * read[:-1].sum())


@given(found=SHARES)
def test_what_is_found_of_a_known_share_is_read_as_that_share_and_more_never_as_less(found: list[float]) -> None:
    true = np.linspace(0.05, 0.4, len(found))
    curve = UnknownCurve.through(np.array([0.0, *found]), np.array([0.0, *true]))
    assert curve.shares(np.column_stack([1 - np.array(found), found]))[:, 1] == pytest.approx(true)
    grid = np.linspace(0, 1, 101)
    assert (np.diff(curve.shares(np.column_stack([1 - grid, grid]))[:, 1]) >= 0).all()


def test_by_default_a_share_is_read_as_it_is_found() -> None:
    whole = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert AS_FOUND.shares(whole) == pytest.approx(whole)


def test_shares_that_cannot_be_told_from_nothing_teach_nothing() -> None:
    curve = UnknownCurve.through(np.array([0.02, 0.02, 0.1]), np.array([0.0, 0.05, 0.2]))
    assert curve.found == (0.0, 0.1, 1.0)
    assert curve.true == (0.0, 0.2, 1.0)
