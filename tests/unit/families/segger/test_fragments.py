"""Fragments: transcripts without a nucleus that hang together, named alike whatever the order of the rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.segger.fragments import fragments_of
from ml_core.families.segger.graph import nearest_neighbours
from ml_core.families.segger.predict import fragment_ids


def random_edges(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 40, (n, 2)).astype(np.float32)
    return nearest_neighbours(xy, k=3, max_distance_um=4, workers=1), rng.random(n) < 0.7


def members(fragment: np.ndarray, ids: np.ndarray) -> dict[str, set[int]]:
    """Name of each fragment to the ids of its transcripts."""
    names = fragment_ids(fragment, ids)
    return {name: set(ids[fragment == number].tolist()) for number, name in enumerate(names)}


@given(seed=st.integers(0, 10_000), least=st.integers(2, 6))
def test_rows_in_another_order_give_the_same_fragments_with_the_same_names(seed: int, least: int) -> None:
    neighbours, alone = random_edges(seed)
    n = len(alone)
    ids = np.random.default_rng(seed).permutation(10 * n)[:n]
    order = np.random.default_rng(seed + 1).permutation(n)
    place = np.append(np.argsort(order), -1)
    one = fragments_of(neighbours, alone=alone, least=least)
    two = fragments_of(place[neighbours[order]], alone=alone[order], least=least)
    assert members(one, ids) == members(two, ids[order])


@given(seed=st.integers(0, 10_000), least=st.integers(2, 6))
def test_fragments_are_lone_large_and_whole(seed: int, least: int) -> None:
    neighbours, alone = random_edges(seed)
    fragment = fragments_of(neighbours, alone=alone, least=least)
    sizes = np.bincount(fragment[fragment >= 0])
    assert (sizes >= least).all()
    assert alone[fragment >= 0].all()
    row, column = np.nonzero(neighbours >= 0)
    target = neighbours[row, column]
    both = alone[row] & alone[target]
    assert (fragment[row[both]] == fragment[target[both]]).all()
    firsts = [int(np.flatnonzero(fragment == number)[0]) for number in range(len(sizes))]
    assert firsts == sorted(firsts)


@given(seed=st.integers(0, 10_000), least=st.integers(2, 6), at_once=st.integers(1, 70))
def test_edges_read_in_pieces_give_the_fragments_of_all_edges(seed: int, least: int, at_once: int) -> None:
    neighbours, alone = random_edges(seed)
    whole = fragments_of(neighbours, alone=alone, least=least)
    np.testing.assert_array_equal(fragments_of(neighbours, alone=alone, least=least, at_once=at_once), whole)


def test_an_edge_in_one_direction_is_enough() -> None:
    chain = np.array([[1], [2], [-1], [-1]])
    assert fragments_of(chain, alone=np.ones(4, bool), least=3).tolist() == [0, 0, 0, -1]


def test_nothing_alone_is_no_fragment() -> None:
    chain = np.array([[1], [0]])
    assert fragments_of(chain, alone=np.zeros(2, bool), least=2).tolist() == [-1, -1]
    assert fragment_ids(np.array([-1, -1]), np.array([5, 6])) == []
