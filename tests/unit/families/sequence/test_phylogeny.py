"""Trees keep their tips and the distances between them, however they are cut, rooted or joined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.families.sequence.phylogeny import Phylogeny, in_postorder, shear
from tests.unit.families.sequence.planted import random_phylogeny, tip_distances


def cut(phylogeny: Phylogeny, tips: np.ndarray) -> Phylogeny:
    tree = shear(phylogeny, tips)
    names = np.full(len(tree), "", object)
    names[tree.tip] = phylogeny.names[tips]
    return Phylogeny(tree.parent.astype(np.int64), tree.length, names)


@given(st.integers(2, 15), st.integers(0, 1000))
@hypothesis_settings(max_examples=40)
def test_cutting_keeps_distances_between_tips_and_to_the_root(tips: int, seed: int) -> None:
    whole = random_phylogeny(tips, seed=seed)
    rng = np.random.default_rng(seed)
    kept = whole.tips[np.sort(rng.choice(tips, rng.integers(1, tips + 1), replace=False))]
    part = cut(whole, kept)
    before, after = tip_distances(whole), tip_distances(part)
    assert after == {pair: pytest.approx(before[pair]) for pair in after}
    assert sorted(part.names[part.tips]) == sorted(whole.names[kept])
    depth = dict(zip(whole.names[kept], whole.depth[kept], strict=True))
    assert {part.names[tip]: pytest.approx(part.depth[tip]) for tip in part.tips} == depth
    forks = np.bincount(part.parent[:-1], minlength=len(part))
    assert not (forks[:-1] == 1).any()  # only the root may have one branch


@given(st.integers(1, 15), st.integers(0, 1000))
@hypothesis_settings(max_examples=40)
def test_nodes_in_any_order_come_out_children_first(tips: int, seed: int) -> None:
    tree = random_phylogeny(tips, seed=seed)
    order = np.random.default_rng(seed).permutation(len(tree))
    place = np.argsort(order)
    parent = np.where(tree.parent[order] < 0, -1, place[tree.parent[order]])
    again = in_postorder(parent, tree.length[order], tree.names[order])
    assert (again.parent[:-1] > np.arange(len(again) - 1)).all()
    assert again.parent[-1] == -1
    assert tip_distances(again) == {pair: pytest.approx(apart) for pair, apart in tip_distances(tree).items()}
