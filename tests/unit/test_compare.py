"""Runs side by side, with their baselines and their cost, as a table, as a figure and on the leaderboard."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml_core import __main__ as shell
from ml_core import families
from ml_core.artifacts import Artifact, Store
from ml_core.compare import CPU_SECONDS, MEMORY_GB, compare_runs, compared_runs, score_of
from ml_core.compare_figure import draw_runs
from ml_core.errors import UserError
from ml_core.leaderboard import write_leaderboard
from ml_core.promotion import consider
from ml_core.stages import Family
from tests.unit.test_promotion import FAMILY


def commit(store: Store, stage: str, name: str, **manifest: Any) -> Artifact:
    numbers = manifest.pop("numbers", {})
    with store.writing("toy", stage, name) as directory:
        (directory / "content").write_text(name)
        summary = {"headline": "", "numbers": numbers, "tables": {}, "figures": {}, "checks": []}
        made = {"family": "toy", "stage": stage, "fingerprint": name, "created": f"2026-01-01T00:00:{name[-2:]}"}
        return store.commit(directory, {**made, "input_fingerprints": {}, **manifest, "summary": summary})


def run(store: Store, number: int, *, dim: Any, error: float | None, **rivals: float) -> Artifact:
    """A model that all runs share the splits with, and its report."""
    cost = {"cpu_seconds": 10.0, "peak_memory_gb": 0.5}
    splits = store.find("toy", "splits", "splits00") or commit(
        store, "splits", "splits00", settings={"fold": 0}, inputs={}, **cost
    )
    made = {"splits": "splits00", "model": f"model{number:02d}"}
    model = {"settings": {"dim": dim, "layers": [1, 2]}, "inputs": {}, "cpu_seconds": 100.0, "peak_memory_gb": 2.0}
    commit(store, "model", made["model"], **model, input_fingerprints={"splits": "splits00"})
    numbers = {"test.error": error, **{f"baseline.{name}.error": value for name, value in rivals.items()}}
    if error is not None:
        numbers |= {"test.error_low": error - 1, "test.error_high": error + 1}
    inputs = {"splits": splits.digest, "model": str(number)}
    return commit(
        store, "report", f"report{number:02d}", settings={"draws": 9}, inputs=inputs, input_fingerprints=made,
        numbers=numbers, **cost,
    )  # fmt: skip


@pytest.fixture
def family() -> Family:
    score = dataclasses.replace(FAMILY.scores[0], metric="test.error")
    report = dataclasses.replace(FAMILY["report"], checks=())
    return dataclasses.replace(
        FAMILY, stages=(*FAMILY.stages[:-1], report), scores=(score,), key_metrics=("test.error", "missing")
    )


def test_a_row_has_what_differs_the_figures_the_best_baseline_and_the_cost(family: Family, store: Store) -> None:
    for number, dim, error in ((1, 8, 5.0), (2, 16, 3.0)):
        consider(family, run(store, number, dim=dim, error=error, forest=4.0, mean=9.0), store)
    first, second = compare_runs(family, store)
    assert (first["report"], second["report"]) == ("report01", "report02")
    assert (first["champion"], second["champion"]) == ("", "yes")
    assert (first["model.dim"], second["model.dim"]) == (8, 16)
    assert "model.layers" not in first
    assert "splits.fold" not in first
    assert (second["test.error"], second["test.error_low"], second["missing"]) == (3.0, 2.0, None)
    assert (second["best baseline"], second["best baseline's test.error"]) == ("forest", 4.0)
    assert (second[CPU_SECONDS], second[MEMORY_GB]) == (120.0, 2.0)  # splits, model and report, each once


def test_every_row_has_the_same_columns(family: Family, store: Store) -> None:
    run(store, 1, dim=8, error=None)
    run(store, 2, dim=[1], error=1.0, forest=2.0)
    bare = dataclasses.replace(family, key_metrics=())
    for each in (family, bare):
        first, second = compare_runs(each, store)
        assert list(first) == list(second)
        assert first["best baseline"] is None


def pixels(path: Path, colour: tuple[int, int, int]) -> int:
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(image - colour).sum(-1) < 40).sum())


def test_the_figure_shows_runs_champion_and_baselines(family: Family, store: Store, tmp_path: Path) -> None:
    run(store, 1, dim=8, error=5.0, forest=4.0)
    score = score_of(family, compared_runs(family, store))
    assert score is not None
    draw_runs(tmp_path / "before.png", runs=compared_runs(family, store), score=score)
    consider(family, run(store, 2, dim=16, error=3.0, forest=4.0), store)
    draw_runs(tmp_path / "after.png", runs=compared_runs(family, store), score=score)
    champion, other = (209, 73, 91), (48, 99, 142)
    assert pixels(tmp_path / "before.png", champion) == 0
    assert pixels(tmp_path / "after.png", champion) > 50
    assert min(pixels(tmp_path / f"{name}.png", other) for name in ("before", "after")) > 50


def test_the_command_prints_the_table_and_leaves_the_figure(
    family: Family, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(families, "find_families", lambda: {"toy": family})
    run(store, 1, dim=8, error=5.0, forest=4.0)
    assert shell.main(["compare", "toy", "--data", str(store.data)]) == 0
    shown = capsys.readouterr().out
    assert "cost.cpu_seconds" in shown
    assert (store.data / "compare" / "toy.png").stat().st_size > 1000
    assert shell.main(["compare", "toy", "--json", "--data", str(store.data)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["best baseline"] == "forest"


def test_the_leaderboard_has_every_family_that_has_a_report(family: Family, store: Store) -> None:
    other = dataclasses.replace(family, name="empty")
    with pytest.raises(UserError, match=r"has no report of toy, empty; run a family first"):
        write_leaderboard([family, other], store)
    assert [path.name for path in store.data.iterdir() if not path.name.endswith(".lock")] == []
    consider(family, run(store, 1, dim=["<script>"], error=5.0), store)
    run(store, 2, dim=8, error=5.0)
    for _ in range(2):  # the second takes the first one's place
        board = write_leaderboard([family, other], store)
    assert list(board.rows) == ["toy"]
    page = (board.directory / "report.html").read_text()
    assert "report01" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert board.figures["toy"].is_file()
    assert json.loads((board.directory / "metrics.json").read_text()) == {"toy.test.error": 5.0}
