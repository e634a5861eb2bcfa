"""The report has its numbers by name, stands alone as one file, and its baselines judge the same transcripts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.artifacts import Artifact
from ml_core.families.segger import report
from ml_core.families.segger.data import FULL
from ml_core.families.segger.evaluate import baseline_scores
from ml_core.families.segger.truth import transcript_accuracy
from ml_core.running import StageRun
from ml_core.summary import Summary
from tests.unit.families.segger.tiny import Tiny, tiny_settings

RIVALS = ("nearest_polygon", "nearest_centroid", "likelihood")
NAMES = [
    "ring.top1",
    "ring.auroc",
    "ring.f1",
    "biology.mecr_at_95",
    "biology.contamination_at_95",
    *(f"baseline.{rival}.ring.{name}" for rival in RIVALS for name in ("top1", "auroc")),
    *(f"baseline.{rival}.biology.{name}_at_95" for rival in RIVALS for name in ("mecr", "contamination")),
    "baseline.vendor.biology.mecr",
    "baseline.vendor.biology.contamination",
    "agreement.nuclear",
    "agreement.cytoplasmic",
    "truth.transcript_accuracy",
    "truth.cell_f1",
    *(f"baseline.{rival}.truth.{name}" for rival in RIVALS for name in ("transcript_accuracy", "cell_f1")),
    "split.shared_transcripts",
    "predictions.input_rows",
    "predictions.output_rows",
    "graph.transcripts_per_cpu_second",
    "train.cpu_seconds",
    "train.peak_memory_gb",
]


@pytest.fixture(scope="module")
def metrics(finished: dict[str, Artifact]) -> dict[str, float]:
    return dict(json.loads(finished["report"].path("metrics.json").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_others_read_is_there_and_is_a_number(metrics: dict[str, float], name: str) -> None:
    assert isinstance(metrics[name], int | float)
    assert np.isfinite(metrics[name])


def test_metrics_are_plain_json_without_nan(finished: dict[str, Artifact]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(finished["report"].path("metrics.json").read_text(), parse_constant=refuse)


def test_nothing_is_lost_and_nothing_is_shared(metrics: dict[str, float]) -> None:
    assert metrics["split.shared_transcripts"] == 0
    assert metrics["predictions.input_rows"] == metrics["predictions.output_rows"]


def test_the_page_stands_alone_with_its_figures_inside(finished: dict[str, Artifact]) -> None:
    page = finished["report"].path("report.html").read_text()
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert [source[:60] for source in sources if not source.startswith(("data:", "#"))] == []
    assert "<script src" not in page
    assert page.count("data:image/png;base64,") >= 6
    for title in ("Held-out nuclear transcripts", "Biology", "Simulated truth", "Agreement with the vendor"):
        assert title in page
    assert finished["report"].summary.headline in page.replace("&#39;", "'")


def test_the_page_says_where_its_numbers_come_from(finished: dict[str, Artifact]) -> None:
    page = finished["report"].path("report.html").read_text()
    for stage in ("transcripts", "graph", "model", "predictions"):
        assert finished[stage].fingerprint in page


def test_the_baselines_are_judged_on_the_same_transcripts_as_the_model(
    tiny: Tiny, finished: dict[str, Artifact], metrics: dict[str, float]
) -> None:
    """Nearest polygon and centroid, recomputed here from the tables alone."""
    table = pd.read_parquet(finished["transcripts"].path("transcripts.parquet")).iloc[tiny.graph.rows]
    test = tiny.splits.transcript == 2
    view = tiny.graph.views[FULL]
    nearest = view.candidates[:, 0]
    truth = table["true_nucleus"].to_numpy()
    expected = transcript_accuracy(nearest[test], truth[test])
    assert metrics["baseline.nearest_polygon.truth.transcript_accuracy"] == pytest.approx(expected)
    away = np.hypot(*(view.centroids[view.candidates] - tiny.graph.xy[:, None]).transpose(2, 0, 1))
    closest = np.where(view.candidates >= 0, away, np.inf).argmin(axis=1)
    centroid = view.candidates[np.arange(len(closest)), closest]
    expected = transcript_accuracy(centroid[test], truth[test])
    assert metrics["baseline.nearest_centroid.truth.transcript_accuracy"] == pytest.approx(expected)


def test_the_ring_test_is_on_held_out_transcripts_of_the_test_blocks(tiny: Tiny, metrics: dict[str, float]) -> None:
    held = np.flatnonzero(tiny.graph.held_out("0.50"))
    inside = (tiny.splits.transcript[held] == 2) & tiny.splits.supervised[held]
    assert metrics["ring.transcripts"] == inside.sum()
    assert metrics["ring.whole.transcripts"] == len(held)
    view = tiny.graph.views["0.50"]
    right = view.candidates[held, 0] == tiny.graph.nucleus[held]
    assert metrics["baseline.nearest_polygon.ring.top1"] == pytest.approx(right[inside].mean())
    assert metrics["baseline.nearest_polygon.ring.whole.top1"] == pytest.approx(right.mean())


def test_in_the_ring_test_no_baseline_sees_a_held_out_label(tiny: Tiny) -> None:
    import dataclasses

    unknown = dataclasses.replace(tiny.graph, nucleus=np.where(tiny.graph.held_out("0.50"), -1, tiny.graph.nucleus))
    before, after = baseline_scores(tiny.graph, "0.50"), baseline_scores(unknown, "0.50")
    for method in RIVALS:
        np.testing.assert_array_equal(before[method], after[method])


# ---------------------------------------------------------------- the checks


def decided(**numbers: float) -> dict[str, bool]:
    good = {
        "ring.top1": 0.97,
        "ring.auroc": 0.99,
        "baseline.nearest_polygon.ring.top1": 0.96,
        "baseline.nearest_polygon.ring.auroc": 0.98,
        "biology.mecr_at_95": 0.02,
        "biology.contamination_at_95": 0.02,
        "baseline.nearest_polygon.biology.mecr_at_95": 0.03,
        "baseline.nearest_polygon.biology.contamination_at_95": 0.03,
        "baseline.likelihood.biology.mecr_at_95": 0.03,
        "baseline.likelihood.biology.contamination_at_95": 0.03,
        "ring.calibration_error": 0.01,
    }
    summary = Summary(numbers={**good, **{name.replace("__", "."): value for name, value in numbers.items()}})
    report.decide(summary)
    return {check.name: check.passed for check in summary.checks}


def test_a_model_that_beats_all_passes_all_checks() -> None:
    assert decided() == {"ring_baseline_beaten": True, "biology_baseline_beaten": True, "calibrated": True}


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("ring__top1", 0.95, "ring_baseline_beaten"),
        ("ring__auroc", float("nan"), "ring_baseline_beaten"),
        ("biology__mecr_at_95", 0.04, "biology_baseline_beaten"),
        ("biology__contamination_at_95", 0.04, "biology_baseline_beaten"),
        ("ring__calibration_error", 0.2, "calibrated"),
    ],
)
def test_each_defeat_fails_its_own_check_only(name: str, value: float, check: str) -> None:
    assert [found for found, passed in decided(**{name: value}).items() if not passed] == [check]


def test_without_a_reference_biology_is_not_judged() -> None:
    assert decided(biology__mecr_at_95=float("nan"), biology__contamination_at_95=float("nan"))[
        "biology_baseline_beaten"
    ]


def test_a_gene_that_is_called_like_html_is_shown_and_not_run(finished: dict[str, Artifact], tmp_path: Path) -> None:
    gene = "<script>alert(1)</script>"
    predictions = tmp_path / "predictions"
    shutil.copytree(finished["predictions"].directory, predictions)
    manifest = json.loads((predictions / "manifest.json").read_text())
    manifest["summary"]["tables"]["Genes unknown to the model"] = [{"gene": gene}]
    (predictions / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "report").mkdir()
    inputs = {**finished, "predictions": Artifact(predictions)}
    run = StageRun(tiny_settings("report"), inputs, tmp_path / "report", tmp_path / "work", tmp_path / "cache")
    report.build(run)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
