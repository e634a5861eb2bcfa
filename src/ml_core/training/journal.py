"""What a run says about itself: rows for the recorders, and one log line per epoch."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ml_core.training.device import memory_gb
from ml_core.training.recorder import CsvRecorder, ProgressRecorder, Recorder, Recorders, TensorBoardRecorder
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row, TrainState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("ml_core.training")


class Journal:
    """Keeps the time of a run and tells its recorders, none if `silent`. It reads the state and changes nothing."""

    def __init__(
        self,
        directory: Path,
        *,
        state: TrainState,
        settings: TrainingSettings,
        steps_per_epoch: int,
        device: torch.device,
        recorder: Recorder | None,
        silent: bool = False,
    ) -> None:
        self._settings = settings
        self._device = device
        observers = [] if silent else list(_observers(directory, state, settings, steps_per_epoch, recorder))
        self._recorder = Recorders(observers)
        self._began = time.perf_counter()
        self._first_epoch = state.epoch
        self._seconds_before = state.seconds
        self._step_mark = self._epoch_mark = (state.samples, state.seconds)

    def seconds(self) -> float:
        """Time spent on the run so far, by all its processes."""
        return self._seconds_before + time.perf_counter() - self._began

    def wants(self, state: TrainState) -> bool:
        """Whether the step that led to `state` is one to record: every `log_every_steps`, and the last of an epoch."""
        return state.step % self._settings.log_every_steps == 0 or state.validation_pending

    def step(
        self, state: TrainState, losses: Row, *, running_loss: float, learning_rates: Row, gradient_norm: float
    ) -> None:
        """One optimizer step: its losses, and the epoch's mean loss so far."""
        row = {"epoch": state.epoch + 1, "step": state.step, **losses, "running_loss": running_loss}
        row["epoch_step"] = math.ceil(state.position / self._settings.window_size)
        row |= {**learning_rates, "gradient_norm": gradient_norm, **self._pace(state, self._step_mark)}
        self._step_mark = (state.samples, row["seconds"])
        self._recorder.step(row)

    def epoch(self, state: TrainState, values: Row, *, learning_rates: Row, better: bool) -> Row:
        """One epoch: its row, recorded and logged."""
        number = state.epoch + 1
        row = {"epoch": number, "step": state.step, **values, **learning_rates}
        row |= self._pace(state, self._epoch_mark)
        self._epoch_mark = (state.samples, row["seconds"])
        self._recorder.epoch(row)

        per_epoch = (time.perf_counter() - self._began) / (number - self._first_epoch)
        left = timedelta(seconds=round(per_epoch * (self._settings.max_epochs - number)))
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if not name.startswith("train_"))
        log.info(
            "epoch %d/%d: train_loss %.4g%s%s, learning rate %.3g, %.0f samples/s, at most %s to go",
            *(number, self._settings.max_epochs, values["train_loss"], f", {told}" if told else ""),
            *(" (best so far)" if better else "", row["learning_rate"], row["samples_per_second"], left),
        )
        return row

    def figures(self, figures: dict[str, Figure], *, step: int) -> None:
        """Record figures and close them."""
        for name, figure in figures.items():
            from matplotlib import pyplot  # slow to import, and most tasks draw nothing

            self._recorder.figure(name, figure, step=step)
            pyplot.close(figure)

    def histograms(self, model: nn.Module, *, step: int) -> None:
        """Record the distribution of every weight and of its gradient in the last window."""
        tensors = {}
        for name, parameter in model.named_parameters():
            tensors[f"weights/{name}"] = parameter.detach().float()
            if parameter.grad is not None:
                tensors[f"gradients/{name}"] = parameter.grad.float()
        self._recorder.histograms(tensors, step=step)

    def close(self) -> None:
        self._recorder.close()

    def _pace(self, state: TrainState, since: tuple[int, float]) -> Row:
        samples, seconds = since
        now = self.seconds()
        speed = (state.samples - samples) / max(now - seconds, 1e-9)
        return {"samples_per_second": speed, "seconds": now, "memory_gb": memory_gb(self._device)}


def _observers(
    directory: Path, state: TrainState, settings: TrainingSettings, steps_per_epoch: int, recorder: Recorder | None
) -> Iterator[Recorder]:
    if state.stop_reason is not None:
        return  # the run is finished: its logs are left as they are
    yield CsvRecorder(directory, step=state.step, epoch=state.epoch)
    if settings.tensorboard:
        yield TensorBoardRecorder(directory / "tensorboard", step=state.step)
    if settings.progress_bar:
        yield ProgressRecorder(epochs=settings.max_epochs, steps_per_epoch=steps_per_epoch)
    if recorder is not None:
        yield recorder
