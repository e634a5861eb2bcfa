"""The verdict passes what is spread and knows links, and fails each planted collapse for its own reason."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.families.hgt import evaluate
from ml_core.families.hgt.evaluate import Gain
from ml_core.families.hgt.geometry import shapes
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.families.hgt.verdict import Verdict, decide, rank_asked
from ml_core.metrics.embedding import effective_rank
from tests.unit.families.hgt.planted import Planted, planted

WON, NOTHING = Gain(0.1, 0.05, 0.15), Gain(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def small() -> Planted:
    return planted()


def verdict(small: Planted, embeddings: np.ndarray, links: Gain = WON) -> Verdict:
    found = shapes(small.graph, embeddings)
    return decide(found, links, width=embeddings.shape[1], settings=ReportSettings())


def test_a_spread_embedding_that_knows_links_passes(small: Planted) -> None:
    found = verdict(small, small.embeddings(known=0.5))
    assert (found.word, found.reasons) == ("pass", ())


def test_one_row_for_each_type_fails_for_its_rank_and_its_cosine_in_every_type(small: Planted) -> None:
    constant = np.random.default_rng(0).normal(size=(3, 24))[small.graph.node_type]
    found = verdict(small, constant)
    assert found.word == "fail"
    assert [each.word for each in found.types] == ["fail"] * 3
    assert all("effective rank 1.0" in each.reasons[0] and "cosine 1.000" in each.reasons[1] for each in found.types)


def test_few_directions_fail_however_small_the_mean_cosine(small: Planted) -> None:
    """What the old test 'mean cosine below 0.5' let through: four directions at right angles."""
    rng = np.random.default_rng(0)
    four = np.eye(24)[rng.integers(0, 4, small.graph.node_count)] * rng.choice([-1, 1], (small.graph.node_count, 1))
    found = verdict(small, four)
    assert all(abs(shape.within_cosine) < 0.1 for shape in shapes(small.graph, four).by_type.values())
    assert found.word == "fail"


def test_an_untrained_network_has_a_good_shape_and_fails_for_its_links(small: Planted) -> None:
    untrained = small.embeddings(known=0.0)
    answers = [
        evaluate.answer(
            EmbeddingJudge(small.graph, untrained, small.decoder()), evaluate.ask(small.graph, small.splits, relation)
        )
        for relation in range(4)
    ]
    links = evaluate.gain_over_relations([(each, each) for each in answers], draws=50, seed=0)
    found = verdict(small, untrained, links)
    assert {each.word for each in found.types} == {"pass"}
    assert found.word == "fail"
    assert not found.links_beaten
    assert "untrained" in found.reasons[0]


def test_a_shared_direction_warns_before_it_fails(small: Planted) -> None:
    base = small.embeddings(known=0.0)
    for push, word in ((1.0, "pass"), (2.6, "warn"), (30.0, "fail")):
        assert verdict(small, base + push).word == word


def test_links_without_figures_are_not_beaten(small: Planted) -> None:
    nan = float("nan")
    assert verdict(small, small.embeddings(known=0.5), Gain(nan, nan, nan)).word == "fail"
    assert verdict(small, small.embeddings(known=0.5), NOTHING).word == "fail"


def test_nan_embeddings_fail(small: Planted) -> None:
    broken = small.embeddings(known=0.5)
    broken[0, 0] = np.nan
    assert verdict(small, broken).types[0].word == "fail"


def test_a_small_type_is_asked_for_half_of_what_it_can_reach() -> None:
    assert rank_asked(10_000, width=128, least=10) == 10
    assert rank_asked(12, width=128, least=10) == 6
    assert rank_asked(10_000, width=16, least=10) == 8
    rng = np.random.default_rng(0)
    for n in (10, 14, 19):
        assert effective_rank(rng.normal(size=(n, 128))) > rank_asked(n, width=128, least=10)
