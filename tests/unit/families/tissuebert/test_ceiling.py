"""The ceiling of a region against sums over every outcome."""

from itertools import product

import numpy as np
import pytest

from ml_core.families.tissuebert.ceiling import bits, read_ceiling, read_chances, region_ceiling, sample_ceiling
from ml_core.families.tissuebert.likelihoods import RATES, LikelihoodTables


@pytest.fixture
def tables() -> LikelihoodTables:
    weights = np.random.default_rng(0).dirichlet(np.full(len(RATES), 0.3), (3, 4))
    return LikelihoodTables(weights, np.ones((3, 4)), [f"t{each}" for each in range(4)])


def per_pattern(tables: LikelihoodTables, region: int, tissue: int, pattern: tuple[int, ...]) -> float:
    each = [
        w * np.prod([p if on else 1 - p for on in pattern])
        for w, p in zip(tables.weights[region, tissue], RATES, strict=True)
    ]
    return float(np.sum(each))


def test_one_read_equals_a_sum_over_all_patterns_of_its_cpgs(tables: LikelihoodTables) -> None:
    chances = read_chances(tables, cpgs=4)
    for region in range(3):
        table = np.array(
            [[per_pattern(tables, region, t, pattern) for pattern in product((0, 1), repeat=4)] for t in range(4)]
        )
        assert read_ceiling(chances)[region] == pytest.approx(table.max(0).sum() / 4)
        joint = table / 4
        independent = joint.sum(0) * joint.sum(1)[:, None]
        assert bits(chances)[region] == pytest.approx((joint * np.log2(joint / independent)).sum())


def test_two_reads_equal_a_sum_over_all_pairs(tables: LikelihoodTables) -> None:
    chances = read_chances(tables, cpgs=3)
    exact = [np.sum([(own[:, i] * own[:, j]).max() for i, j in product(range(4), repeat=2)]) / 4 for own in chances]
    assert region_ceiling(chances, reads=2, draws=4000, seed=1) == pytest.approx(exact, abs=0.02)


def test_more_reads_tell_more_and_alike_tissues_nothing(tables: LikelihoodTables) -> None:
    chances = read_chances(tables, cpgs=4)
    few, many = (region_ceiling(chances, reads=n, draws=400, seed=1).mean() for n in (1, 30))
    assert many > few + 0.05
    alike = np.repeat(chances[:, :1], 4, axis=1)
    assert bits(alike) == pytest.approx(0, abs=1e-12)
    assert read_ceiling(alike) == pytest.approx(0.25)


def test_a_sample_of_one_read_is_a_read_and_more_reads_tell_more(tables: LikelihoodTables) -> None:
    places = np.array([[0, 3], [1, 3], [2, 3]])
    one, few, many = (sample_ceiling(tables, places, reads=n, draws=4000, seed=1) for n in (1, 5, 40))
    assert one == pytest.approx(read_ceiling(read_chances(tables, cpgs=3)).mean(), abs=0.02)
    assert one + 0.05 < few < many
    alike = LikelihoodTables(np.repeat(tables.weights[:, :1], 4, axis=1), tables.reads, tables.tissues)
    assert sample_ceiling(alike, places, reads=40, draws=50, seed=1) == pytest.approx(0.25)
