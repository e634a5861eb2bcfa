"""Where a run stands, how it ended, and what counts as better."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, float]


@dataclass(frozen=True)
class TrainState:
    """Everything that a run knows besides tensors. Plain data, written to state.json.

    It is never changed in place: a new state takes the old one's place in one assignment, so that an interruption
    finds it whole.
    """

    schedule_epochs: int  # max_epochs when the run began: the schedule's length, also when more epochs are added later
    step: int = 0  # optimizer steps done
    epoch: int = 0  # epochs finished, which is also the number of the current one, counted from 0
    position: int = 0  # samples of the current epoch's order that are done; always at a window's end
    samples: int = 0  # samples seen in all epochs
    skipped_steps: int = 0  # fp16 windows whose gradient overflowed
    skipped_in_a_row: int = 0  # the last of them, without a good step since
    forward_size: int | None = None  # samples of a forward pass, once memory ran out for batch_size of them
    seconds: float = 0.0  # in all processes that worked on the run
    resume_count: int = 0  # resumptions since the last finished epoch
    best_loss: float | None = None
    best_metric: float | None = None
    waited: int = 0  # validations in a row without a better metric
    validation_pending: bool = False  # the epoch's samples are done, its validation is not
    stop_reason: str | None = None  # max_epochs or patience, once the run is finished
    loss_sums: dict[str, float] = field(default_factory=dict)  # of the current epoch, by loss term
    target_counts: dict[str, int] = field(default_factory=dict)

    def replace(self, **changes: Any) -> TrainState:
        return dataclasses.replace(self, **changes)

    def after_window(
        self,
        size: int,
        *,
        skipped: bool,
        means: dict[str, float],
        targets: dict[str, int],
        epoch_size: int,
        forward_size: int | None,
        seconds: float,
    ) -> TrainState:
        """The state behind a window of `size` samples: its mean loss and number of targets by term join the epoch's."""
        position = self.position + size
        sums, counts = self.loss_sums, self.target_counts
        return self.replace(
            step=self.step + (not skipped),
            skipped_steps=self.skipped_steps + skipped,
            skipped_in_a_row=self.skipped_in_a_row + 1 if skipped else 0,
            forward_size=forward_size,
            position=position,
            samples=self.samples + size,
            seconds=seconds,
            validation_pending=position == epoch_size,
            loss_sums={**sums, **{term: sums.get(term, 0.0) + means[term] * targets[term] for term in means}},
            target_counts={**counts, **{term: counts.get(term, 0) + targets[term] for term in means}},
        )

    def mean_losses(self) -> dict[str, float]:
        """Mean loss of each term over the current epoch's targets so far."""
        return {term: self.loss_sums[term] / count for term, count in self.target_counts.items() if count}


@dataclass(frozen=True)
class FitResult:
    """How a finished run ended. The weights of `best` are in the task's model."""

    state: TrainState
    history: list[Row]  # one row per epoch: train_*, val_*, learning_rate, seconds, ...
    best: Path  # checkpoint of the best monitored value, or the last one where nothing is monitored
    last: Path
    stop_reason: str  # max_epochs or patience
    device: str
    device_reason: str
    precision: str
    seconds: float  # of training, in all processes that worked on the run
    cpu_seconds: float  # of this process and its threads
    peak_memory_gb: float
    resumed_from: Path | None
    compiled_graphs: int = 0  # that torch.compile made in this process


def improved(value: float, best: float | None, *, mode: str) -> bool:
    """Whether `value` is better than `best`. NaN and infinities never are; 0.0 is a value like any other."""
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    return value < best if mode == "min" else value > best
