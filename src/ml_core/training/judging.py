"""What an epoch's values mean: is it the best, is it time to stop, which checkpoints are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml_core.training.checkpoint import Roles
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row, TrainState, improved


@dataclass(frozen=True)
class Judgement:
    """The state after the epoch, the roles of its checkpoint, and whether it is the best by `monitor` so far."""

    state: TrainState
    roles: Roles
    better: bool


def judge(state: TrainState, values: Row, settings: TrainingSettings) -> Judgement:
    """Judge the epoch that `state` has come to the end of by its train_* and val_* values."""
    number = state.epoch + 1
    value = values.get(settings.monitor)
    better = value is not None and improved(value, state.best_metric, mode=settings.monitor_mode)
    better_loss = improved(values.get("val_loss", math.nan), state.best_loss, mode="min")
    waited = 0 if better else state.waited + (value is not None)
    out_of_patience = settings.patience is not None and waited >= settings.patience
    finished = state.replace(
        epoch=number,
        position=0,
        resume_count=0,
        best_loss=values["val_loss"] if better_loss else state.best_loss,
        best_metric=value if better else state.best_metric,
        waited=waited,
        validation_pending=False,
        stop_reason="patience" if out_of_patience else "max_epochs" if number >= settings.max_epochs else None,
        loss_sums={},
        target_counts={},
    )
    return Judgement(finished, Roles(better_loss, better, due(number, settings.checkpoint_every_epochs), value), better)


def due(count: int, every: int | None) -> bool:
    """Whether something that is done `every` so many epochs or steps (None: never) is done after `count` of them."""
    return every is not None and count % every == 0
