"""The new root lies in the middle of the longest path."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.families.sequence.midpoint import rooted_at_midpoint
from ml_core.families.sequence.phylogeny import Phylogeny
from tests.unit.families.sequence.planted import random_phylogeny, tip_distances


@given(st.integers(2, 15), st.integers(0, 1000))
@hypothesis_settings(max_examples=60)
def test_no_distance_changes_and_both_sides_are_equally_deep(tips: int, seed: int) -> None:
    tree = random_phylogeny(tips, seed=seed)
    rooted = rooted_at_midpoint(tree)
    before = tip_distances(tree)
    assert tip_distances(rooted) == {pair: pytest.approx(apart, abs=1e-12) for pair, apart in before.items()}
    assert (rooted.parent == len(rooted) - 1).sum() == 2
    assert (rooted.length >= 0).all()
    longest = max(before.values())
    assert rooted.depth.max() == pytest.approx(longest / 2)
    side = np.arange(len(rooted))
    for node in range(len(rooted) - 2, -1, -1):
        above = rooted.parent[node]
        side[node] = node if above == len(rooted) - 1 else side[above]
    deepest = [rooted.depth[rooted.tips][side[rooted.tips] == each].max() for each in np.unique(side[rooted.tips])]
    assert deepest == [pytest.approx(longest / 2)] * 2


@pytest.mark.parametrize("order", list(itertools.permutations([0.8, 0.5, 0.4])))
def test_equally_deep_sides_are_rooted_between_them_whatever_the_rounding(order: tuple[float, ...]) -> None:
    parent = np.array([1, 2, 9, 4, 5, 9, 7, 8, 9, -1])  # three chains of three branches, equal but for rounding
    length = np.array([*order, 0.4, 0.5, 0.8, 0.5, 0.8, 0.4, 0.0])
    names = np.array(["a", "", "", "b", "", "", "c", "", "", ""], object)
    rooted = rooted_at_midpoint(Phylogeny(parent, length, names))
    assert (rooted.length >= 0).all()
    assert (rooted.parent == len(rooted) - 1).sum() == 2
    assert rooted.depth[rooted.tips] == pytest.approx([1.7] * 3)
