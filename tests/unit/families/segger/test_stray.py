"""Stray RNA: planted contamination is told from a cell's own expression, and surroundings are counted as they lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from ml_core.families.segger.expression import Profiles
from ml_core.families.segger.stray import own_share, surroundings

KINDS, EACH, GENES, DEPTH, SHARE = 2, 40, 10, 300, 0.2


def contaminated(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nuclei of two kinds, of which a share of the counts comes from the other kind, which lies around them.

    The first half of the genes is the first kind's own, the second half the second's. -> counts, around, kind
    """
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(KINDS), EACH)
    pure = np.full((KINDS, GENES), 1e-9)
    pure[0, : GENES // 2] = pure[1, GENES // 2 :] = 2 / GENES
    mixed = (1 - SHARE) * pure[kind] + SHARE * pure[1 - kind]
    counts = np.stack([rng.multinomial(DEPTH, p / p.sum()) for p in mixed])
    around = np.stack([rng.multinomial(3 * DEPTH, p / p.sum()) for p in pure[1 - kind]])
    return counts, around, kind


def foreign_share(profiles: Profiles, kind: np.ndarray) -> float:
    """Share of the profiles' weight on genes of the other kind."""
    of_first = profiles.sums[:, : GENES // 2].sum(axis=1) / profiles.totals
    return float(np.where(kind == 0, 1 - of_first, of_first).mean())


def test_planted_stray_rna_leaves_the_profiles() -> None:
    counts, around, kind = contaminated()
    made = {"neighbours": 10, "prior": 1.0, "components": 3}
    before = Profiles.of(counts, **made)
    after = Profiles.of(counts, **made, around=around, stray_share=SHARE)
    assert foreign_share(before, kind) == pytest.approx(SHARE, abs=0.02)
    assert foreign_share(after, kind) < 0.05
    kept = (counts * after.own).sum() / counts.sum()
    assert kept == pytest.approx(1 - SHARE, abs=0.03)


@given(seed=st.integers(0, 100), stray=st.floats(0.0, 0.9))
def test_shares_are_chances_and_none_of_it_is_stray_where_nothing_may_be(seed: int, stray: float) -> None:
    rng = np.random.default_rng(seed)
    counts, around = rng.poisson(2.0, (9, 4)), rng.poisson(2.0, (9, 4))
    background = np.full(4, 0.25)
    pooling = sparse.csr_matrix(np.eye(9))
    share = own_share(counts, pooling=pooling, around=around, background=background, stray_share=stray)
    assert share.shape == counts.shape
    assert ((share > 0) & (share <= 1)).all()
    nothing = own_share(counts, pooling=pooling, around=around, background=background, stray_share=0.0)
    assert (nothing == 1).all()


@given(seed=st.integers(0, 100), radius=st.floats(0.5, 20.0))
def test_surroundings_are_the_loose_transcripts_within_the_radius(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    xy, gene, loose = rng.uniform(0, 30, (60, 2)), rng.integers(0, 5, 60), rng.random(60) < 0.7
    centroids = rng.uniform(0, 30, (7, 2))
    found = surroundings(xy, gene, loose=loose, centroids=centroids, radius_um=radius, genes=5)
    near = (np.linalg.norm(xy[None] - centroids[:, None], axis=2) <= radius) & loose
    expected = np.stack([np.bincount(gene[row], minlength=5) for row in near])
    np.testing.assert_array_equal(found, expected)


def test_where_nothing_is_loose_nothing_surrounds() -> None:
    found = surroundings(
        np.zeros((3, 2)), np.zeros(3, int), loose=np.zeros(3, bool), centroids=np.zeros((2, 2)), radius_um=5.0, genes=4
    )
    assert found.shape == (2, 4)
    assert not found.any()
