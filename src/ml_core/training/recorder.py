"""Observers of a run: CSV, TensorBoard, a progress bar. None of them can change what is trained."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from ml_core.training.state import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REDRAW_SECONDS = 0.1  # of the progress bar, as tqdm's own


class Recorder:
    """Told what happens; each method does nothing unless a subclass wants to know.

    A row of `step` has epoch, step, epoch_step, loss, <term>_loss, running_loss (the epoch's mean so far),
    learning_rate, learning_rate/<part> of parts that have their own, gradient_norm, samples_per_second, seconds,
    memory_gb; a row of `epoch` has train_* and val_* instead of the losses.
    """

    def step(self, row: Row) -> None:
        """Every `log_every_steps` optimizer steps."""

    def epoch(self, row: Row) -> None:
        """After each epoch and its validation."""

    def figure(self, name: str, figure: Figure, *, step: int) -> None:
        """A figure of a validation; it is closed afterwards."""

    def histograms(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Weights and gradients by name."""

    def close(self) -> None:
        """The run ends, finished or not."""


class Recorders(Recorder):
    """Several observers as one."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = list(recorders)

    def step(self, row: Row) -> None:
        for recorder in self._recorders:
            recorder.step(row)

    def epoch(self, row: Row) -> None:
        for recorder in self._recorders:
            recorder.epoch(row)

    def figure(self, name: str, figure: Figure, *, step: int) -> None:
        for recorder in self._recorders:
            recorder.figure(name, figure, step=step)

    def histograms(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        for recorder in self._recorders:
            recorder.histograms(tensors, step=step)

    def close(self) -> None:
        for recorder in self._recorders:
            recorder.close()


class CsvRecorder(Recorder):
    """`metrics.csv` with a row per epoch and `steps.csv` with a row per logged step.

    Rows after the state that a run goes on from are cut when it begins: they will be written again.
    """

    def __init__(self, directory: Path, *, step: int, epoch: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._epochs = _Table(directory / "metrics.csv", keep=lambda row: int(row["epoch"]) <= epoch)
        self._steps = _Table(directory / "steps.csv", keep=lambda row: int(row["step"]) <= step)

    def step(self, row: Row) -> None:
        self._steps.append(row)

    def epoch(self, row: Row) -> None:
        self._epochs.append(row)

    def close(self) -> None:
        self._epochs.close()
        self._steps.close()


class TensorBoardRecorder(Recorder):
    """Event files over the optimizer step. What an earlier process wrote after `step` is hidden."""

    def __init__(self, directory: Path, *, step: int) -> None:
        # Here, because they are slow to import and not every run wants them.
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
        from torch.utils.tensorboard import SummaryWriter

        self._summary: Any = Summary

        self._writer: Any = SummaryWriter(directory, purge_step=step + 1)

    def step(self, row: Row) -> None:
        self._scalars("step", row)

    def epoch(self, row: Row) -> None:
        self._scalars("epoch", row)
        self._writer.flush()

    def figure(self, name: str, figure: Figure, *, step: int) -> None:
        self._writer.add_figure(name, figure, step, close=False)

    def histograms(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        for name, tensor in tensors.items():
            if tensor.numel() and torch.isfinite(tensor).all():  # TensorBoard has no bins for anything else
                self._writer.add_histogram(name, tensor, step)

    def close(self) -> None:
        self._writer.close()

    def _scalars(self, group: str, row: Row) -> None:
        # One event for the whole row: `add_scalar` would wake the writing thread for each value.
        values = [self._summary.Value(tag=f"{group}/{k}", simple_value=v) for k, v in row.items() if k != "step"]
        self._writer.file_writer.add_summary(self._summary(value=values), int(row["step"]))


class ProgressRecorder(Recorder):
    """A bar for each epoch: epoch x/y, step, running mean loss, learning rate. Hidden where there is no terminal."""

    def __init__(self, *, epochs: int, steps_per_epoch: int) -> None:
        self._epochs = epochs
        self._steps = steps_per_epoch
        self._bar: tqdm[Any] | None = None
        self._shown = -math.inf

    def step(self, row: Row) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=self._steps,
                desc=f"epoch {row['epoch']:.0f}/{self._epochs}",
                unit="step",
                disable=None,
                leave=False,
            )
        self._bar.n = int(row["epoch_step"])
        now = time.monotonic()
        if now - self._shown >= REDRAW_SECONDS:
            self._shown = now
            self._bar.set_postfix_str(f"loss {row['running_loss']:.4g}, lr {row['learning_rate']:.3g}")

    def epoch(self, row: Row) -> None:
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar, self._shown = None, -math.inf


class _Table:
    """A CSV file whose columns grow when a row brings new ones."""

    def __init__(self, path: Path, *, keep: Any) -> None:
        self._path = path
        self._columns: list[str] = []
        if path.exists():
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1]  # a killed process may have left half a line
            reader = csv.DictReader(whole.splitlines())
            self._columns = list(reader.fieldnames or [])
            self._rewrite([row for row in reader if keep(row)])
        self._open()

    def append(self, row: Row) -> None:
        new = [name for name in row if name not in self._columns]
        if new:
            self._file.close()
            rows = list(csv.DictReader(self._path.read_text().splitlines()))
            self._columns += new
            self._rewrite(rows)
            self._open()
        self._writer.writerow(row)

    def close(self) -> None:
        self._file.close()

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        aside = self._path.with_name(f".{self._path.name}")
        with aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(aside, self._path)

    def _open(self) -> None:
        self._file = self._path.open("a", newline="", buffering=1)  # a line at a time: readable while the run goes on
        self._writer = csv.DictWriter(self._file, self._columns, restval="", lineterminator="\n")
