"""Tissues that cannot be told apart are one group, and no chain of neighbours makes more of them."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.groups import group_names, group_tissues, summed
from ml_core.families.tissuebert.likelihoods import RATES, LikelihoodTables

HOW = {"moved": 0.1, "depth": 30, "donor_correlation": 0.02}


def tables_of(unmethylated: np.ndarray) -> LikelihoodTables:
    """Tables of tissues with these shares of unmethylated reads [regions, tissues]."""
    weights = np.zeros((*unmethylated.shape, len(RATES)))
    weights[..., 0], weights[..., -1] = unmethylated, 1 - unmethylated
    names = [f"t{number}" for number in range(unmethylated.shape[1])]
    return LikelihoodTables(weights, np.ones(unmethylated.shape), names)


def test_alike_tissues_are_one_group_and_others_are_not() -> None:
    shares = np.where(np.repeat(np.eye(4), 10, axis=0) > 0, 0.8, 0.06)
    shares = np.column_stack([shares, shares[:, 3]])
    found = group_tissues(tables_of(shares), **HOW)
    assert len(set(found[:4])) == 4
    assert found[4] == found[3]
    assert "t3 + t4" in group_names([f"t{number}" for number in range(5)], found)


def test_a_chain_of_neighbours_is_not_one_group() -> None:
    """Each tissue is like the next, and the two ends are as unlike as can be."""
    shares = np.linspace(0.05, 0.95, 20)[None].repeat(40, axis=0)
    tables = tables_of(shares)
    found = group_tissues(tables, **HOW)
    assert found[0] != found[-1]
    near = [found[one] == found[one + 1] for one in range(19)]
    assert any(near)


def test_a_reference_of_one_tissue_has_one_group() -> None:
    assert group_tissues(tables_of(np.full((5, 1), 0.3)), **HOW).tolist() == [0]


def test_groups_sum_their_tissues() -> None:
    found = summed(np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0]]), np.array([0, 1, 0]))
    np.testing.assert_allclose(found, [[0.8, 0.2], [0.0, 1.0]])
