"""Two parts of one tree become that tree again, whichever comes first; others are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.sequence.graft import graft
from ml_core.families.sequence.phylogeny import Phylogeny
from tests.unit.families.sequence.planted import random_phylogeny, tip_distances
from tests.unit.families.sequence.test_phylogeny import cut

PATH = Path("second.nwk")


def from_first_fork(tree: Phylogeny) -> Phylogeny:
    """Without the branch that leads from the root to the first fork, as files of a part have it."""
    end = len(tree)
    while (tree.parent[:end] == end - 1).sum() == 1:
        end -= 1
    parent, length = tree.parent[:end].copy(), tree.length[:end].copy()
    parent[-1], length[-1] = -1, 0
    return Phylogeny(parent, length, tree.names[:end])


@given(st.integers(4, 20), st.integers(0, 10_000))
@hypothesis_settings(max_examples=100)
def test_parts_are_joined_to_what_they_were_cut_from(tips: int, seed: int) -> None:
    whole = random_phylogeny(tips, seed=seed)
    rng = np.random.default_rng(seed)
    of_first, of_second = rng.random((2, tips)) < 0.7
    of_first[:2] = of_second[:2] = True
    parts = [from_first_fork(cut(whole, whole.tips[mine])) for mine in (of_first, of_second)]
    joined, new = graft(*parts, path=PATH)
    expected = tip_distances(cut(whole, whole.tips[of_first | of_second]))
    found = tip_distances(joined)
    assert sorted(joined.names[joined.tips]) == sorted(whole.names[whole.tips[of_first | of_second]])
    for part in parts:  # what one part knows is known exactly
        known = tip_distances(part)
        assert {pair: found[pair] for pair in known} == {p: pytest.approx(v, abs=1e-5) for p, v in known.items()}
    shared = (of_first & of_second).sum()
    assert new in (of_first.sum() - shared, of_second.sum() - shared)
    assert joined.depth.max() == pytest.approx(max(part.depth.max() for part in parts), abs=1e-5) or new
    # of two tips that no part has together it knows where they leave the common branches, not what they share beyond
    assert all(found[pair] > expected[pair] - 1e-5 for pair in expected)


def test_trees_that_disagree_are_refused_with_their_file() -> None:
    with pytest.raises(UserError, match=r"second.nwk: disagrees with the main tree on 8 shared ASVs by up to"):
        graft(random_phylogeny(8, seed=1), random_phylogeny(8, seed=2), path=PATH)


def test_a_tree_of_other_lengths_is_refused() -> None:
    first = random_phylogeny(8, seed=1)
    with pytest.raises(UserError, match=r"expected parts of one tree; give one tree"):
        graft(first, dataclasses.replace(first, length=first.length * 1.01), path=PATH)


def test_trees_that_share_nothing_are_refused() -> None:
    other = random_phylogeny(5, seed=1, names=[f"other{number}" for number in range(5)])
    with pytest.raises(UserError, match=r"second.nwk: shares 0 of its 5 tips with the main tree"):
        graft(random_phylogeny(5, seed=1), other, path=PATH)
