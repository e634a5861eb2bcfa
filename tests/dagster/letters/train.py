"""A training stage without a network: epochs, a checkpoint, a stop when asked for, and going on from it."""

from __future__ import annotations

import math
import time

from ml_core.errors import UserError
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.interrupt import Interrupted, StopAsked, StopRequest
from ml_core.training.task import Training


def prepare(run: StageRun) -> Training:
    raise UserError("tiny: the model only counts epochs, so that there is nothing to look at without running it.")


def train(run: StageRun) -> Summary:
    run.work.mkdir(parents=True, exist_ok=True)
    checkpoint = run.work / "checkpoint"
    start = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with StopRequest(None) as stop:
        try:
            for epoch in range(start + 1, run.settings.epochs + 1):
                until = time.monotonic() + run.settings.seconds_per_epoch
                while time.monotonic() < until:
                    if cause := stop.asked():
                        raise StopAsked(cause)
                    time.sleep(0.01)
                checkpoint.write_text(str(epoch))
                row = {"epoch": epoch, "train_loss": 1 / epoch, "learning_rate": 0.1, "samples_per_second": 9.0}
                run.watcher.epoch(row if epoch > 1 else {**row, "val_loss": math.nan})
        except StopAsked as asked:
            raise Interrupted(asked.cause, checkpoint) from None
    (run.directory / "weights").write_text(
        f"{run.settings.epochs} epochs of {run.settings.loss}, seed {run.settings.seed}"
    )
    (run.directory / "logs" / "tensorboard").mkdir(parents=True)
    (run.directory / "logs" / "tensorboard" / "events").write_text("")
    return Summary(headline=f"{run.settings.epochs} epochs.", numbers={"train.started_after_epoch": start})
