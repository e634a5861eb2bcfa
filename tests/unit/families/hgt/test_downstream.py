"""The classifier learns what the embeddings know, never from test pairs; curated negatives are read as they stand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.hgt import downstream
from ml_core.families.hgt.curated import Curated, read_curated
from ml_core.families.hgt.data import Relation
from ml_core.families.hgt.judges import EmbeddingJudge
from tests.unit.families.hgt.planted import Planted, planted


@pytest.fixture(scope="module")
def small() -> Planted:
    return planted()


def judge(small: Planted, known: float) -> EmbeddingJudge:
    return EmbeddingJudge(small.graph, small.embeddings(known=known), small.decoder())


def test_the_classifier_separates_test_pairs_by_what_the_embeddings_know(small: Planted) -> None:
    knowing = downstream.compare(judge(small, 0.9), small.splits, 0, draws=50)[0]
    ignorant = downstream.compare(judge(small, 0.0), small.splits, 0, draws=50)[0]
    assert knowing.against == "degree-matched pairs"
    assert knowing.figures["classifier"]["auroc"] > 0.75
    assert ignorant.figures["classifier"]["auroc"] < 0.65
    for figures in knowing.figures.values():
        assert figures["auroc_low"] < figures["auroc"] < figures["auroc_high"]


def test_no_test_pair_is_trained_on_as_a_positive_and_none_is_tested_as_a_negative(
    small: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    original = downstream._Features.of

    def spy(self: downstream._Features, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        seen.append((rows, columns))
        return original(self, rows, columns)

    monkeypatch.setattr(downstream._Features, "of", spy)
    downstream.compare(judge(small, 0.5), small.splits, 0, draws=10)
    edges = small.graph.edges_of(0)
    part = np.asarray(small.splits.part[edges])
    pairs = list(zip(small.graph.head[edges].tolist(), (small.graph.tail[edges] - 60).tolist(), strict=True))
    everything = set(pairs)
    test = {pair for pair, split in zip(pairs, part, strict=True) if split == 2}
    trained, _, tested, negatives = (set(zip(*map(np.ndarray.tolist, each), strict=True)) for each in seen)
    assert trained
    assert not trained & test
    assert tested == test
    assert negatives
    assert not negatives & everything


def test_contraindications_are_the_negatives_where_the_graph_has_them(small: Planted) -> None:
    first = small.graph.relations
    renamed = [first[0], dataclasses.replace(first[1], name="contraindication", tail="disease"), *first[2:]]
    start, stop = small.graph.edges_of(1).start, small.graph.edges_of(1).stop
    tail = np.array(small.graph.tail)
    tail[start:stop] = 60 + tail[start:stop] % 40
    graph = dataclasses.replace(small.graph, relations=renamed, tail=tail)
    found = downstream.compare(dataclasses.replace(judge(small, 0.5), graph=graph), small.splits, 0, draws=10)
    assert found[0].against == "contraindications"
    assert found[0].negatives == (small.splits.part[start:stop] == 2).sum()


def test_without_test_edges_nothing_is_compared(small: Planted) -> None:
    nothing = dataclasses.replace(small.splits, part=np.zeros_like(small.splits.part))
    assert downstream.compare(judge(small, 0.5), nothing, 0) == []


# ---------------------------------------------------------------- curated pairs


def write(path: Path, rows: list[tuple[str, str, str]], header: str = "doid_id\tdrugbank_id\tcategory") -> Path:
    path.write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n")
    return path


def test_curated_negatives_are_new_pairs_of_known_nodes(small: Planted, tmp_path: Path) -> None:
    edge = small.graph.edges_of(0).start
    an_indication = (small.graph.node_ids[small.graph.tail[edge]], small.graph.node_ids[small.graph.head[edge]])
    known = set(zip(small.graph.head.tolist(), small.graph.tail.tolist(), strict=True))
    free = next(tail for tail in range(60, 100) if (3, tail) not in known)
    rows = [
        (small.graph.node_ids[free], "DR:3", "NOT"),
        (*an_indication, "NOT"),
        ("DI:1", "DR:2", "DM"),
        ("DI:1", "nowhere", "NOT"),
    ]
    path = write(tmp_path / "judged.tsv", rows)
    found = read_curated(path, graph=small.graph, relation=0, negative="NOT")
    assert (found.rows.tolist(), found.columns.tolist(), found.in_table) == ([3], [free - 60], 3)


def test_curated_negatives_are_compared_beside_the_others(small: Planted) -> None:
    curated = Curated(np.array([1, 2, 3]), np.array([4, 5, 6]), 3)
    found = downstream.compare(judge(small, 0.9), small.splits, 0, curated=curated, draws=10)
    assert [each.negatives for each in found][1:] == [3]


@pytest.mark.parametrize(
    ("header", "category", "said"),
    [
        ("doid_id\tdrugbank_id\tkind", "NOT", "no column 'category'"),
        ("doid_id\tcompound\tcategory", "NOT", "no column of drug ids"),
        ("doid_id\tdrugbank_id\tcategory", "DM", "no row of category 'NOT'"),
    ],
)
def test_a_wrong_table_is_told_in_one_sentence(
    small: Planted, tmp_path: Path, header: str, category: str, said: str
) -> None:
    path = write(tmp_path / "judged.tsv", [("DI:1", "DR:2", category)], header)
    with pytest.raises(UserError, match=said):
        read_curated(path, graph=small.graph, relation=0, negative="NOT")
    with pytest.raises(UserError, match="is no file"):
        read_curated(tmp_path / "none.tsv", graph=small.graph, relation=0, negative="NOT")


def test_a_table_of_drugs_and_diseases_does_not_fit_another_relation(small: Planted, tmp_path: Path) -> None:
    path = write(tmp_path / "judged.tsv", [("DI:1", "DR:2", "NOT")])
    graph = dataclasses.replace(small.graph, relations=[Relation("a", "drug", "gene/protein")])
    with pytest.raises(UserError, match="runs from drug to gene/protein"):
        read_curated(path, graph=graph, relation=0, negative="NOT")
