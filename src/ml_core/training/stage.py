"""A stage that trains a model: what is the same in every family, from `fit` to the curves in the stage's summary."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.checkpoint import WEIGHTS
from ml_core.training.outcome import best_row, training_summary
from ml_core.training.recorder import Recorder
from ml_core.training.state import FitResult, Row
from ml_core.training.task import Training
from ml_core.training.trainer import fit

CURVES = "figures/curves.png"


class Curves(Protocol):
    """A family's own: draws the history of a training into the PNG `path`."""

    def __call__(self, history: list[Row], path: Path, /, *, best_epoch: int) -> None: ...


class ForWatcher(Recorder):
    """Hands each epoch's row to whoever watches the stage (`StageRun.watcher.epoch`)."""

    def __init__(self, tell: Callable[[Row], None]) -> None:
        self.tell = tell

    def epoch(self, row: Row) -> None:
        self.tell(row)


def fit_stage(run: StageRun, training: Training) -> FitResult:
    """Train as `run.settings` say; the best weights and the logs come into the artifact. Raises what `fit` raises.

    Afterwards `training.task.model` has the best weights, is on the CPU and in eval mode.
    """
    result = fit(
        training.task,
        train=training.train,
        validation=training.validation,
        settings=run.settings,
        directory=run.work,
        recorder=ForWatcher(run.watcher.epoch),
        fingerprint=dict(training.fingerprint),
    )
    run.device = result.device
    training.task.model.to("cpu").eval()
    shutil.copyfile(result.best / WEIGHTS, run.directory / WEIGHTS)
    shutil.copytree(run.work / "logs", run.directory / "logs")
    return result


def summary_with_curves(run: StageRun, result: FitResult, *, curves: Curves) -> Summary:
    """`training_summary` and the figure Training, in which the epoch that was kept is marked."""
    summary = training_summary(run.directory, result=result, settings=run.settings)
    best_epoch = int(best_row(result.history, settings=run.settings)["epoch"])
    curves(result.history, run.directory / CURVES, best_epoch=best_epoch)
    summary.figures["Training"] = CURVES
    return summary
