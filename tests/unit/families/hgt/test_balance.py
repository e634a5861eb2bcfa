"""What is heard counts as much as the validation edges ask for, whatever the test says."""

import dataclasses

import numpy as np
import pytest

from ml_core.families.hgt import evaluate
from ml_core.families.hgt.balance import FACTORS, balanced
from ml_core.families.hgt.judges import EmbeddingJudge
from tests.unit.families.hgt.planted import planted

small = planted()
OWN = 24


def judge(*, own: float, heard: float) -> EmbeddingJudge:
    """Embeddings of 48 channels, each half knowing this much of the pairs."""
    halves = [small.embeddings(known=known, width=OWN, seed=seed) for seed, known in enumerate((own, heard))]
    return EmbeddingJudge(small.graph, np.hstack(halves), small.decoder(width=2 * OWN))


def mean_reciprocal_rank(of: EmbeddingJudge, relation: int, **options: str) -> float:
    questions = evaluate.ask(of.graph, small.splits, relation, **options)
    return float((1 / evaluate.answer(of, questions).ranks).mean())


def test_no_factor_has_a_higher_mean_reciprocal_rank_of_validation_edges() -> None:
    before = judge(own=0.3, heard=0.7)
    after = balanced(before, small.splits, own_dim=OWN)
    for relation in range(len(small.graph.relations)):
        reached = []
        for factor in FACTORS:
            decoder = np.array(before.decoder)
            decoder[relation, OWN:] *= factor
            trial = dataclasses.replace(before, decoder=decoder)
            reached.append(mean_reciprocal_rank(trial, relation, split="validation", blind_to="test"))
        chosen = mean_reciprocal_rank(after, relation, split="validation", blind_to="test")
        assert chosen == pytest.approx(max(reached))


@pytest.mark.parametrize(("own", "heard", "factor"), [(0.0, 1.0, max(FACTORS)), (1.0, 0.0, min(FACTORS))])
def test_the_half_that_knows_the_pairs_counts_most(own: float, heard: float, factor: float) -> None:
    found = balanced(judge(own=own, heard=heard), small.splits, own_dim=OWN).decoder
    assert (found[:, :OWN] == 1).all()
    assert (found[:, OWN:] == factor).all()


def test_the_test_edges_are_not_looked_at() -> None:
    before = judge(own=0.3, heard=0.7)
    rng = np.random.default_rng(1)
    head, tail = np.array(small.graph.head), np.array(small.graph.tail)
    for relation, of in enumerate(small.graph.relations):
        edges = small.graph.edges_of(relation)
        mine = np.flatnonzero(small.splits.part[edges] == 2) + edges.start
        head[mine] = rng.choice(list(small.graph.nodes_of(of.head)), len(mine))
        tail[mine] = rng.choice(list(small.graph.nodes_of(of.tail)), len(mine))
    other = dataclasses.replace(before, graph=dataclasses.replace(small.graph, head=head, tail=tail))
    ours, theirs = (balanced(each, small.splits, own_dim=OWN).decoder for each in (before, other))
    np.testing.assert_array_equal(ours, theirs)


def test_without_validation_edges_or_own_channels_nothing_changes() -> None:
    before = judge(own=0.3, heard=0.7)
    part = np.where(small.splits.part == 1, 0, small.splits.part)
    unasked = balanced(before, dataclasses.replace(small.splits, part=part), own_dim=OWN)
    alone = balanced(before, small.splits, own_dim=0)
    np.testing.assert_array_equal(unasked.decoder, before.decoder)
    np.testing.assert_array_equal(alone.decoder, before.decoder)
