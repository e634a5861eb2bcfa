"""The report has its numbers by name, its page stands alone, a winning baseline comes first, the verdict can fail."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.families.hgt import evaluate, judge_shape, pages, practice
from ml_core.families.hgt.data import load_graph, load_splits
from ml_core.families.hgt.embedding_arrays import load_arrays
from ml_core.families.hgt.family import FAMILY
from ml_core.families.hgt.judges import PopularityJudge
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.families.hgt.verdict import Verdict
from ml_core.predict import artifacts_of
from ml_core.running import run_stage
from ml_core.summary import Summary

METRICS = ("mrr", "hits1", "hits3", "hits10", "auroc", "auprc", "matched_auroc", "matched_auprc")
CONTROLS = ("popularity", "distmult", "untrained", "constant")
TYPES = ("drug", "disease", "gene/protein")
SETTINGS: dict[str, dict[str, Any]] = {
    "raw": {"source": "simulated", "nodes": 1000, "communities": 8},
    "graph": {"include_node_types": list(TYPES)},
    "model": {
        "embedding_dim": 32,
        "hidden_dim": 32,
        "num_heads": 2,
        "max_epochs": 12,
        "validate_every_epochs": 6,
        "device": "cpu",
    },
    "report": {"least_edges": 30, "bootstrap_draws": 100, "negatives_per_edge": 4},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("hgt_report"))


@pytest.fixture(scope="module")
def finished(store: Store) -> dict[str, Artifact]:
    """Every stage's artifact after a short training on a small simulated graph, judged pairs included."""
    made = {}
    for stage in FAMILY.stages[:-1]:
        settings = stage.settings.parse(SETTINGS.get(stage.name, {}), where=stage.name)
        made[stage.name] = run_stage(FAMILY, stage, settings=settings, store=store).artifact
    report = FAMILY["report"]
    settings = report.settings.parse({**SETTINGS["report"], "curated": str(judged_pairs(store, made))}, where="report")
    made["report"] = run_stage(FAMILY, report, settings=settings, store=store).artifact
    return made


def judged_pairs(store: Store, made: dict[str, Artifact]) -> Path:
    graph = load_graph(made["graph"].directory)
    rng = np.random.default_rng(0)
    ids = {name: graph.node_ids[rng.choice(np.array(graph.nodes_of(name)), 30)] for name in ("drug", "disease")}
    path = store.data / "judged.csv"
    rows = [f"{drug},{disease},NOT" for drug, disease in zip(ids["drug"], ids["disease"], strict=True)]
    path.write_text("\n".join(["drug_id,disease_id,category", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def metrics(finished: dict[str, Artifact]) -> dict[str, Any]:
    return dict(json.loads(finished["report"].path("metrics.json").read_text()))


@pytest.mark.parametrize(
    "name",
    [
        *(f"test.indication.{metric}" for metric in METRICS),
        *(f"control.{control}.{metric}" for control in CONTROLS for metric in METRICS),
        *(f"control.{control}.indication.{metric}" for control in CONTROLS for metric in METRICS),
        *(
            f"geometry.{node_type}.{name}"
            for node_type in TYPES
            for name in ("effective_rank", "pca90", "pca95", "within_cosine")
        ),
        "test.indication.mrr_low",
        "test.indication.auroc_high",
        "test.indication.mrr_of_drug",
        "control.distmult.indication.hits10_of_disease",
        "curated.auroc",
        "downstream.contraindications.classifier.auroc",
        "downstream.curated.decoder.auprc_low",
        "train.cpu_seconds",
    ],
)
def test_a_number_that_others_read_is_there_and_is_a_number(metrics: dict[str, Any], name: str) -> None:
    assert isinstance(metrics[name], int | float)
    assert np.isfinite(metrics[name])


def test_every_row_of_a_table_has_its_columns(finished: dict[str, Artifact], metrics: dict[str, Any]) -> None:
    """The regression on paths answers for the main relation alone, wherever that stands."""
    assert metrics["control.metapaths.indication.mrr"] > 0
    for title in ("filtered MRR", "degree-matched AUROC"):
        rows = finished["report"].summary.tables[title]
        assert len({tuple(row) for row in rows}) == 1
        answered = [row["relation"] for row in rows if row["metapath regression"] is not None]
        assert answered == ["indication"]


def test_the_verdict_is_a_word_for_the_model_for_each_type_and_for_the_controls(metrics: dict[str, Any]) -> None:
    words = {"pass", "warn", "fail"}
    assert metrics["verdict"] in words
    assert {metrics[f"verdict.{node_type}"] for node_type in TYPES} <= words
    assert metrics["control.constant.verdict"] == "fail"
    assert metrics["control.untrained.verdict"] == "fail"
    assert metrics["control.untrained.verdict.links"] is False


def test_constant_features_collapse_and_an_untrained_network_does_not(metrics: dict[str, Any]) -> None:
    for node_type in TYPES:
        constant, untrained = (
            metrics[f"control.{control}.geometry.{node_type}.effective_rank"] for control in ("constant", "untrained")
        )
        assert constant < 0.5 * untrained
    assert metrics["test.indication.mrr"] > metrics["control.untrained.mrr"]


def test_all_judges_answer_the_same_questions_as_when_asked_here(
    store: Store, finished: dict[str, Artifact], metrics: dict[str, Any]
) -> None:
    graph, splits = load_graph(finished["graph"].directory), load_splits(finished["splits"].directory)
    found = load_arrays(finished["embeddings"].directory)
    questions = evaluate.ask(
        graph, splits, graph.relation_index("indication"), most=3_000, negatives_per_edge=4, seed=0
    )
    for prefix, judge in (
        ("test.indication", found.judge(graph)),
        ("control.popularity", PopularityJudge(graph, splits)),
    ):
        expected = evaluate.measure(evaluate.answer(judge, questions))
        assert {name: metrics[f"{prefix}.{name}"] for name in METRICS} == pytest.approx(expected)
    assert metrics["test.indication.asked"] == len(questions.rows)


def test_the_page_stands_alone_with_its_figures_inside(finished: dict[str, Artifact]) -> None:
    page = finished["report"].path("report.html").read_text()
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert [source[:60] for source in sources if not source.startswith(("data:", "#"))] == []
    assert page.count("data:image/png;base64,") >= 6
    for title in ("Links: indication", "Every relation", "Shape and verdict", "Curated", "Classifier"):
        assert title in page
    for stage in ("graph", "splits", "model", "embeddings"):
        assert finished[stage].fingerprint in page


def test_the_shell_can_ask_the_artifacts_of_the_run(store: Store, finished: dict[str, Artifact]) -> None:
    assert FAMILY.predict is not None
    artifacts = artifacts_of(FAMILY, finished[FAMILY.predict.stage], store)
    graph = load_graph(artifacts["graph"].directory)
    disease = str(graph.node_ids[graph.nodes_of("disease").start])
    settings = FAMILY.predict.settings.parse({"disease": disease, "top": "5"}, where="predict")
    answer = FAMILY.resolve(FAMILY.predict.run)(settings, artifacts)
    assert len(answer.tables["Predictions"]) == 5


def test_another_report_stands_beside_this_one(finished: dict[str, Artifact]) -> None:
    summary = Summary(numbers={"test.indication.mrr": 0.9, "split.kind": "disease_holdout"})
    settings = ReportSettings(beside=str(finished["report"].directory))
    practice.beside(settings, summary=summary, name="indication")
    rows = summary.tables["Beside another report"]
    assert len(rows) == 6
    assert (rows[0]["split"], rows[0]["mrr"]) == ("this split (disease_holdout)", 0.9)
    other = finished["report"].summary.numbers["test.indication.mrr"]
    assert (rows[1]["split"], rows[1]["mrr"]) == ("the other report (random)", other)


def test_a_report_that_is_not_there_cannot_stand_beside(store: Store) -> None:
    settings = ReportSettings(beside=str(store.data / "nowhere"))
    with pytest.raises(UserError, match=r"metrics.json: is no file"):
        practice.beside(settings, summary=Summary(), name="indication")


# ---------------------------------------------------------------- what the reader is told first


def told(**wins: str) -> str:
    """The headline where `wins` names who wins MRR and AUROC on the main relation."""
    rows = {
        metric: [{"relation": "indication", "counts": True, "wins": wins.get(key, "HGT")}]
        for key, metric in (("mrr", "filtered MRR"), ("auroc", "degree-matched AUROC"))
    }
    numbers = {"test.indication.mrr": 0.4, "control.popularity.indication.mrr": 0.2, "verdict": "pass"}
    summary = Summary(numbers=numbers, tables={**rows, "Verdict": [{"verdict": "pass", "why": ""}]})  # type: ignore[dict-item]
    return pages.headline(summary, "indication")


def test_a_winning_baseline_is_the_first_thing_that_is_said() -> None:
    assert told(auroc="DistMult").startswith(
        "A baseline wins degree-matched AUROC on 1 of 1 relations: indication (DistMult). HGT wins filtered MRR"
    )
    assert told().startswith("HGT wins filtered MRR on all 1 relations")
    assert told().endswith("The verdict on the embeddings is pass.")


@pytest.mark.parametrize(
    ("word", "lost", "controls", "failed"),
    [
        ("pass", 0, "fail", []),
        ("fail", 0, "fail", ["verdict"]),
        ("warn", 0, "fail", []),
        ("pass", 3, "fail", ["baselines_beaten"]),
        ("pass", 0, "pass", ["verdict_can_fail"]),
    ],
)
def test_each_fault_fails_its_own_check(word: Any, lost: int, controls: Any, failed: list[str]) -> None:
    decided = {
        "model": Verdict(word, (), word != "fail", ("a reason",)),
        "untrained": Verdict(controls, (), False, ()),
        "constant": Verdict("fail", (), False, ()),
    }
    summary = Summary(numbers={"compared.comparisons_lost": lost, "compared.relations": 4})
    judge_shape.decide_checks(decided, summary=summary)
    assert [check.name for check in summary.checks if not check.passed] == failed
