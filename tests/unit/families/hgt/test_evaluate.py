"""Judges are told apart as they deserve, all on the same questions, and no known pair competes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.hgt import evaluate
from ml_core.families.hgt.data import KnowledgeGraph, Relation
from ml_core.families.hgt.judges import EmbeddingJudge, Judge, PopularityJudge
from ml_core.metrics.bootstrap import draw_weights, interval
from ml_core.metrics.separation import separate
from tests.unit.families.hgt.planted import Planted, planted

INDICATION, PROTEIN_PROTEIN = 0, 3


@pytest.fixture(scope="module")
def small() -> Planted:
    return planted()


def judge(small: Planted, *, known: float, seed: int = 0) -> EmbeddingJudge:
    return EmbeddingJudge(small.graph, small.embeddings(known=known, seed=seed), small.decoder())


def asked(small: Planted, relation: int, who: Judge, **options: int) -> dict[str, float]:
    return evaluate.measure(evaluate.answer(who, evaluate.ask(small.graph, small.splits, relation, **options)))


@pytest.mark.parametrize("relation", range(4))
def test_who_knows_more_is_measured_higher(small: Planted, relation: int) -> None:
    knowing, half, ignorant = (asked(small, relation, judge(small, known=share)) for share in (0.95, 0.5, 0.0))
    for metric in ("mrr", "hits10", "auroc", "matched_auroc", "auprc", "matched_auprc"):
        assert knowing[metric] > half[metric] > ignorant[metric] - 0.02, metric
    assert ignorant["auroc"] == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("relation", [INDICATION, PROTEIN_PROTEIN])
def test_ranks_are_those_of_a_count_over_all_candidates(small: Planted, relation: int) -> None:
    who, graph = judge(small, known=0.7), small.graph
    questions = evaluate.ask(graph, small.splits, relation)
    ranks = evaluate.answer(who, questions).ranks
    of, edges = graph.relations[relation], graph.edges_of(relation)
    pairs = set(zip(graph.head[edges].tolist(), graph.tail[edges].tolist(), strict=True))
    if of.symmetric:
        pairs |= {(tail, head) for head, tail in pairs}
    z = who.embeddings.astype(np.float64)
    for i in range(0, len(questions.rows), 17):
        head = int(questions.rows[i] + graph.nodes_of(of.head).start)
        tail = int(questions.columns[i] + graph.nodes_of(of.tail).start)
        rivals = [t for t in graph.nodes_of(of.tail) if (head, t) not in pairs and t != head]
        assert ranks[i, 0] == 1 + sum(z[head] @ z[t] > z[head] @ z[tail] for t in rivals)
        rivals = [h for h in graph.nodes_of(of.head) if (h, tail) not in pairs and h != tail]
        assert ranks[i, 1] == 1 + sum(z[h] @ z[tail] > z[head] @ z[tail] for h in rivals)


def test_a_score_does_not_depend_on_its_scale_but_on_the_decoder(small: Planted) -> None:
    who = judge(small, known=0.7)
    plain = asked(small, INDICATION, who)
    scaled = asked(small, INDICATION, dataclasses.replace(who, scale=0.01))
    assert scaled == pytest.approx(plain, abs=1e-4)
    turned = dataclasses.replace(who, decoder=-who.decoder)
    assert asked(small, INDICATION, turned)["auroc"] == pytest.approx(1 - plain["auroc"], abs=1e-6)


def test_popularity_ranks_by_training_degree_of_the_relation_alone(small: Planted) -> None:
    factors = PopularityJudge(small.graph, small.splits).factors(INDICATION)
    edges = small.graph.edges_of(INDICATION)
    training = np.asarray(small.splits.part[edges]) == 0
    diseases = small.graph.nodes_of("disease")
    degree = np.bincount(small.graph.tail[edges][training] - diseases.start, minlength=len(diseases))
    scores = factors.head @ factors.tail.T
    for row in scores[:5]:
        assert (np.argsort(row, kind="stable") == np.argsort(degree, kind="stable")).all()
    moved = np.array(small.splits.part)
    moved[edges] = np.where(moved[edges] == 2, 1, moved[edges])  # what is not training does not count
    again = PopularityJudge(small.graph, dataclasses.replace(small.splits, part=moved)).factors(INDICATION)
    np.testing.assert_array_equal(again.tail, factors.tail)


def test_global_popularity_counts_the_edges_of_all_relations(small: Planted) -> None:
    factors = PopularityJudge(small.graph, small.splits, everywhere=True).factors(INDICATION)
    training = np.asarray(small.splits.part) == 0
    ends = np.concatenate([small.graph.head[training], small.graph.tail[training]])
    degree = np.bincount(ends, minlength=small.graph.node_count)
    np.testing.assert_allclose(np.expm1(factors.head[:, 0]), degree[:60], rtol=1e-4)


def test_sampled_questions_are_a_part_of_all_and_the_same_each_time(small: Planted) -> None:
    whole = evaluate.ask(small.graph, small.splits, PROTEIN_PROTEIN)
    part = evaluate.ask(small.graph, small.splits, PROTEIN_PROTEIN, most=20)
    again = evaluate.ask(small.graph, small.splits, PROTEIN_PROTEIN, most=20)
    assert len(part.rows) == 20 < len(whole.rows) == whole.in_split == part.in_split
    assert set(zip(part.rows, part.columns, strict=True)) <= set(zip(whole.rows, whole.columns, strict=True))
    np.testing.assert_array_equal(part.rows, again.rows)
    np.testing.assert_array_equal(part.matched.rows, again.matched.rows)


def test_the_means_lie_in_their_intervals_and_a_gain_over_oneself_is_nothing(small: Planted) -> None:
    questions = evaluate.ask(small.graph, small.splits, INDICATION)
    ours, theirs = (evaluate.answer(judge(small, known=share), questions) for share in (0.9, 0.1))
    found = evaluate.measure(ours)
    for name, (low, high) in evaluate.intervals(ours, draws=200, seed=0).items():
        assert low <= found[name] <= high
    assert all(gain.word == "won" for gain in evaluate.gains(ours, theirs, draws=200, seed=0).values())
    assert all(gain.word == "lost" for gain in evaluate.gains(theirs, ours, draws=200, seed=0).values())
    assert all(gain.word == "even" for gain in evaluate.gains(ours, ours, draws=200, seed=0).values())
    over = evaluate.gain_over_relations([(ours, theirs), (ours, ours)], draws=200, seed=0)
    assert over.value == pytest.approx(evaluate.gains(ours, theirs, draws=10, seed=0)["mrr"].value / 2)


def test_the_interval_of_the_auroc_is_that_of_resampling_edges_with_their_negatives(small: Planted) -> None:
    ours = evaluate.answer(judge(small, known=0.5), evaluate.ask(small.graph, small.splits, INDICATION))
    exact = separate(ours.positive, ours.matched, weights=draw_weights(len(ours.positive), draws=1000, seed=0))
    found = evaluate.intervals(ours, draws=1000, seed=0)["matched_auroc"]
    assert found == pytest.approx(interval(exact.auroc), abs=0.01)


def test_a_relation_without_test_edges_has_no_figures(small: Planted) -> None:
    nothing = dataclasses.replace(small.splits, part=np.zeros_like(small.splits.part))
    answers = evaluate.answer(judge(small, known=1.0), evaluate.ask(small.graph, nothing, INDICATION))
    assert np.isnan(list(evaluate.measure(answers).values())).all()
    assert np.isnan(evaluate.gain_over_relations([(answers, answers)], draws=10, seed=0).low)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["drug_protein", "indication", "contraindication"], "indication"),
        (["drug_protein", "CtD"], "CtD"),
        (["drug_protein", "treats:drug:disease"], "treats:drug:disease"),
        (["drug_protein", "disease_gene", "phenotype_gene"], "disease_gene"),
    ],
)
def test_the_main_relation_is_therapy_else_genes_of_diseases(names: list[str], expected: str) -> None:
    ends = {"disease_gene": ("disease", "gene/protein"), "phenotype_gene": ("phenotype", "gene/protein")}
    relations = [Relation(name, *ends.get(name, ("drug", "other"))) for name in names]
    graph = KnowledgeGraph([], np.zeros(1), relations, 5 * np.arange(len(names) + 1), *[np.zeros(0)] * 2, labels=None)  # type: ignore[arg-type]
    assert names[evaluate.main_relation(graph)] == expected
    with pytest.raises(UserError, match="no relation 'nonsense'"):
        evaluate.main_relation(graph, "nonsense")
