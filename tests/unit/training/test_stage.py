"""What a stage that trains leaves behind, whichever family it is of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ml_core.running import StageRun
from ml_core.training.checkpoint import STATE, WEIGHTS, load_weights
from ml_core.training.stage import fit_stage, summary_with_curves
from ml_core.training.task import Training
from tests.unit.training.toy import ToySamples, ToyTask, toy_settings


class Watcher:
    def __init__(self) -> None:
        self.epochs: list[float] = []

    def epoch(self, row: dict[str, float]) -> None:
        self.epochs.append(row["epoch"])


@pytest.fixture
def run(tmp_path: Path) -> StageRun:
    (tmp_path / "artifact").mkdir()
    settings = toy_settings(monitor="val_accuracy", monitor_mode="min")  # so that an early epoch is kept
    return StageRun(settings, {}, tmp_path / "artifact", tmp_path / "work", tmp_path, watcher=Watcher(), device="?")


@pytest.fixture
def training() -> Training:
    return Training(ToyTask(), ToySamples(), ToySamples(16, start=1), {"data": "planted digest"})


def test_the_artifact_has_the_best_weights_and_the_logs_and_the_model_has_them_too(
    run: StageRun, training: Training
) -> None:
    result = fit_stage(run, training)
    kept = load_weights(run.directory)
    assert result.best != result.last
    assert (run.directory / WEIGHTS).read_bytes() == (result.best / WEIGHTS).read_bytes()
    assert (run.directory / "logs" / "metrics.csv").read_bytes() == (run.work / "logs" / "metrics.csv").read_bytes()
    assert all(torch.equal(kept[name], tensor) for name, tensor in training.task.model.state_dict().items())
    assert not any(module.training for module in training.task.model.modules())
    assert run.device == "cpu"


def test_the_watcher_is_told_each_epoch(run: StageRun, training: Training) -> None:
    fit_stage(run, training)
    assert run.watcher.epochs == [1, 2, 3]


def test_the_fingerprint_goes_with_the_run(run: StageRun, training: Training) -> None:
    result = fit_stage(run, training)
    assert "planted digest" in (result.last / STATE).read_text()


def test_the_curves_are_drawn_with_the_epoch_that_was_kept(run: StageRun, training: Training) -> None:
    result = fit_stage(run, training)

    def curves(history: list[dict[str, float]], path: Path, /, *, best_epoch: int) -> None:
        path.parent.mkdir()
        path.write_text(f"{len(history)} epochs, kept {best_epoch}")

    summary = summary_with_curves(run, result, curves=curves)
    best = min(result.history, key=lambda row: row["val_accuracy"])
    assert (run.directory / summary.figures["Training"]).read_text() == f"3 epochs, kept {int(best['epoch'])}"
    assert summary.numbers["train.best_epoch"] == best["epoch"]
