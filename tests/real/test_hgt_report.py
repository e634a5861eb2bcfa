"""What the report's evaluation finds on Hetionet before any model is trained."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ml_core.artifacts import Artifact
from ml_core.families.hgt import evaluate, graph, raw, splits
from ml_core.families.hgt.curated import read_curated
from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, load_graph, load_splits
from ml_core.families.hgt.judges import EmbeddingJudge, PopularityJudge
from ml_core.families.hgt.settings import GraphSettings, RawSettings, SplitsSettings
from ml_core.running import StageRun
from ml_core.settings import Settings

MOST_CPU_SECONDS = 60


@pytest.fixture(scope="module")
def hetionet(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> tuple[KnowledgeGraph, EdgeSplits]:
    folder = tmp_path_factory.mktemp("hetionet")

    def run(name: str, build, settings: Settings, *inputs: str) -> None:
        (folder / name).mkdir()
        artifacts = {stage: Artifact(folder / stage) for stage in inputs}
        build(StageRun(settings, artifacts, folder / name, folder / "work", folder / "cache"))

    kg = str(real_data / "hgt" / "hetionet" / "kg.csv.xz")
    run("raw", raw.build, RawSettings(source="path", kg=kg))
    run("graph", graph.build, GraphSettings(include_node_types=[]), "raw")
    run("splits", splits.build, SplitsSettings(), "graph")
    return load_graph(folder / "graph"), load_splits(folder / "splits")


def test_all_test_edges_are_asked_for_from_both_sides_within_a_minute(
    hetionet: tuple[KnowledgeGraph, EdgeSplits],
) -> None:
    graph, splits = hetionet
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(graph.node_count, 128)).astype(np.float32)
    judge = EmbeddingJudge(graph, embeddings, np.ones((len(graph.relations), 128), np.float32))
    started, asked = time.process_time(), 0
    for relation in range(len(graph.relations)):
        questions = evaluate.ask(graph, splits, relation)
        found = evaluate.measure(evaluate.answer(judge, questions))
        asked += len(questions.rows)
        if len(questions.rows) > 1000:
            assert found["auroc"] == pytest.approx(0.5, abs=0.03)
            assert found["mrr"] < 0.05
    assert asked == len(splits.edges_in("test")) > 90_000
    assert time.process_time() - started < MOST_CPU_SECONDS


@pytest.mark.parametrize("name", ["drug_protein", "drug_protein_up", "protein_regulates", "anatomy_protein_up"])
def test_popularity_looks_like_a_model_until_degrees_are_matched(
    hetionet: tuple[KnowledgeGraph, EdgeSplits], name: str
) -> None:
    graph, splits = hetionet
    questions = evaluate.ask(graph, splits, graph.relation_index(name), most=2000)
    found = evaluate.measure(evaluate.answer(PopularityJudge(graph, splits), questions))
    assert found["auroc"] > 0.75
    assert found["matched_auroc"] == pytest.approx(0.5, abs=0.05)


def test_every_curated_non_indication_is_a_pair_of_nodes_without_an_edge(
    hetionet: tuple[KnowledgeGraph, EdgeSplits], real_data: Path
) -> None:
    graph, _ = hetionet
    main = evaluate.main_relation(graph)
    assert graph.relations[main].name == "indication"
    path = real_data / "hgt" / "hetionet" / "drug_disease_curated.tsv"
    curated = read_curated(path, graph=graph, relation=main, negative="NOT")
    assert len(curated.rows) == curated.in_table == 243
