"""Figures of several seeds: the mean, and Student's interval around it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ml_core import __main__ as shell
from ml_core.families import get_family
from ml_core.seeds import as_markdown, figures


def smallest(family: str) -> list[str]:
    """A family's least settings as options, with one epoch."""
    return [
        part
        for stage, fields in get_family(family).smallest.items()
        for field, value in fields.items()
        for part in ("--set", f"{stage}.{field}={1 if field == 'max_epochs' else json.dumps(value)}")
    ]


FAST = smallest("sequence")


def test_the_interval_is_students() -> None:
    (row,) = figures([[{"mrr": 1.0}, {"mrr": 2.0}, {"mrr": 3.0}]])
    assert row["mean"] == 2.0
    assert row["high"] - 2.0 == pytest.approx(4.302653 / 3**0.5)  # t of 2 degrees of freedom, 97.5 %
    assert row["low"] + row["high"] == pytest.approx(4.0)
    assert "| mrr | 2 | -0.4841 to 4.484 | 1, 2, 3 |" in as_markdown([row])


def test_words_and_missing_figures_have_no_mean() -> None:
    rows = figures([[{"verdict": "pass", "mrr": 0.5}, {"verdict": "fail", "mrr": None}]])
    assert all("mean" not in row for row in rows)
    assert rows[0]["values"] == "pass, fail"


def test_of_several_folds_the_interval_is_that_of_their_means() -> None:
    """Seeds that agree within each fold say nothing of how folds differ."""
    folds = [[{"mae": 1.0}, {"mae": 3.0}], [{"mae": 4.0}, {"mae": 4.0}], [{"mae": 6.0}, {"mae": 6.0}]]
    (row,) = figures(folds)
    assert row["mean"] == 4.0
    assert row["values"] == "2, 4, 6"
    assert row["high"] - 4.0 == pytest.approx(4.302653 * 2 / 3**0.5)


def test_shown_are_key_metrics_in_their_order_then_what_was_asked_for() -> None:
    family = dataclasses.replace(get_family("sequence"), key_metrics=("b", "a", "absent"), more_metrics=("labels.",))
    assert family.shown_metrics(["a", "labels.50", "other", "b", "labels.25"]) == ("b", "a", "labels.50", "labels.25")
    assert dataclasses.replace(family, more_metrics=()).shown_metrics(["a", "labels.50"]) == ("a",)


def test_a_stage_whose_seed_the_config_names_is_trained_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [*FAST, "--across", "splits.fold=[0, 1]", "--seeds", "0", "1", "--set", "encoder.seed=7"]
    shell.main(["seeds", "sequence", "--data", str(tmp_path), *chosen])
    lines = capsys.readouterr().out.splitlines()
    cached = {
        (fold, seed, stage): "cached" in line
        for line in lines
        for fold in (0, 1)
        for seed in (0, 1)
        for stage in ("splits", "encoder", "predictor")
        if line.startswith(f"splits.fold={fold} seed {seed} {stage} ")
    }
    assert len(cached) == 12
    assert not any(cached[fold, seed, "predictor"] for fold in (0, 1) for seed in (0, 1))
    for stage in ("splits", "encoder"):
        assert not cached[0, 0, stage]
        assert not cached[1, 0, stage]
        assert cached[0, 1, stage]
        assert cached[1, 1, stage]
    kept = json.loads((tmp_path / "seeds" / "sequence.json").read_text())
    table = (tmp_path / "seeds" / "sequence.md").read_text()
    assert "| test.mae |" in table
    assert "| test.auc |" not in table  # no value in any run
    assert len(set(kept["reports"].values())) == 4


@pytest.mark.slow
def test_several_runs_at_once_give_what_they_give_in_turn(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = [*smallest("hgt"), "--seeds", "0", "1"]
    kept = {}
    for jobs in (1, 2):
        data = tmp_path / str(jobs)
        shell.main(["seeds", "hgt", "--data", str(data), "--jobs", str(jobs), *chosen])
        kept[jobs] = json.loads((data / "seeds" / "hgt.json").read_text())["figures"]
    measured = {jobs: {row["figure"]: row["values"] for row in rows} for jobs, rows in kept.items()}
    for name in ("test.indication.mrr", "control.distmult.indication.mrr", "verdict"):
        assert measured[1][name] == measured[2][name]
    assert "seed 1: hgt model: starts" in capfd.readouterr().err


def test_no_job_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["seeds", "segger", "--jobs", "0"]) == 2
    assert "--jobs is 0, expected 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("across", ["splits.fold", "splits.fold=3", "splits.fold=[1]", "splits.fold=[1", "=[1, 2]x"])
def test_what_is_not_a_list_of_values_is_refused(across: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["seeds", "sequence", "--across", across]) == 2
    assert "expected STAGE.FIELD=[VALUE, ...]" in capsys.readouterr().err


def test_one_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["seeds", "segger", "--seeds", "1", "1"]) == 2
    assert "gives no interval" in capsys.readouterr().err
