"""Trying learning rates and batch sizes on a copy of the task. The task itself and all generators stay as they were.

Both run `fit` itself, so that windows, loss terms, precision and device are those of the training that is to come.
"""

from __future__ import annotations

import copy
import gc
import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.errors import NotFinite, UserError
from ml_core.training.device import available_memory_gb, choose_device, memory_gb, reset_peak_memory
from ml_core.training.generators import capture_generators, restore_generators
from ml_core.training.interrupt import Interrupted
from ml_core.training.memory import is_out_of_memory
from ml_core.training.recorder import Recorder
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row
from ml_core.training.task import Training
from ml_core.training.trainer import fit

log = logging.getLogger("ml_core.training")

FEWEST_STEPS = 20  # of a range test; with fewer a slope is noise
RUNNING = 0.9  # decay of the running mean that tells divergence
SETTLED = 10  # steps before which the running mean says little
DIVERGED = 4.0  # times the lowest running mean
NEAR_ZERO = 0.1  # share of the first loss below which a lowest loss no longer sets the scale
SMOOTH = 0.05  # share of the steps that are averaged to either side of each
BEYOND_NOISE = 2.0  # standard deviations by which a loss must fall to count

WINDOWS = (5, 500)  # of one batch size, at least and at most
SECONDS = 2.0  # after the least number of windows, one batch size takes so long at most
LIMIT = 0.9  # share of the memory of a CPU or of MPS, which swap or kill the process instead of failing

# An observed run leaves nothing behind: no logs but the rows, no checkpoint but the one that `fit` must write.
OBSERVED: dict[str, Any] = {
    "log_every_steps": 1,
    "histogram_every_epochs": None,
    "keep_top": 0,
    "on_oom": "stop",
    "checkpoint_every_epochs": None,
    "tensorboard": False,
    "progress_bar": False,
}


@dataclass(frozen=True)
class RangeTest:
    """The loss while the learning rate rose by the same factor at each step (Smith 2017, arXiv:1506.01186).

    rates, losses, smooth: float [steps]; smooth is the mean over the steps around each, without lag. ended: why.
    """

    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    ended: str

    @property
    def lowest(self) -> float | None:
        """The rate at which the loss was lowest; None where it never fell by more than noise."""
        at = int(self.smooth.argmin())
        noise = float((self.losses - self.smooth)[: at + 1].std())
        fell = self.smooth[0] - self.smooth[at] > BEYOND_NOISE * noise
        return float(self.rates[at]) if at and fell else None

    @property
    def steepest(self) -> float | None:
        """The rate at which the loss fell fastest over the logarithm of the rate, on the way to the lowest."""
        if self.lowest is None:
            return None
        slope = np.gradient(self.smooth, np.log(self.rates))
        return float(self.rates[slope[: int(self.smooth.argmin()) + 1].argmin()])


@dataclass(frozen=True)
class Tried:
    """One batch size. memory_gb: of PyTorch on an accelerator, of the whole process on a CPU."""

    batch_size: int
    samples_per_second: float
    memory_gb: float


@dataclass(frozen=True)
class BatchSizes:
    """The batch sizes that fit, smallest first, and why there are no larger ones. limit_gb: None where only failing
    tells."""

    tried: list[Tried]
    ended: str
    limit_gb: float | None
    device: str

    @property
    def largest(self) -> Tried:
        return self.tried[-1]

    @property
    def fastest(self) -> Tried:
        return max(self.tried, key=lambda each: each.samples_per_second)


def range_test(
    training: Training, settings: TrainingSettings, *, steps: int = 100, low: float = 1e-6, high: float = 1.0
) -> RangeTest:
    """Train a copy for `steps` optimizer steps while the learning rate rises from `low` to `high`.

    It ends early when the loss diverges: its running mean is four times the lowest, or it is not finite. Raises
    UserError for a range that does not rise, or when the loss is not finite almost at once.
    """
    if not 0 < low < high:
        raise UserError(f"The learning rate cannot rise from {low:g} to {high:g}; give 0 < from < to.")
    if steps < FEWEST_STEPS:
        raise UserError(f"{steps} steps are too few to see a slope; give at least {FEWEST_STEPS}.")
    # Whole epochs, as in training: within one, a sample that comes again is augmented alike, and would soon be known.
    per_epoch = math.ceil((settings.samples_per_epoch or len(training.train)) / settings.window_size)
    epochs = math.ceil(steps / per_epoch)
    changes = {
        "max_epochs": epochs,
        "schedule": "exponential",
        "learning_rate": low,
        "final_learning_rate": low * (high / low) ** ((epochs * per_epoch - 1) / (steps - 1)),
        "reference_batch_size": None,
    }
    course = _Course(steps, training.task.weights)
    try:
        _observe(training, settings, changes, recorder=course, should_stop=lambda: course.ended is not None)
    except NotFinite:
        if len(course.rates) < SETTLED:
            raise
        course.ended = "the loss is not finite"
    losses = course.losses()
    return RangeTest(np.array(course.rates), losses, _centred(losses), str(course.ended))


def batch_sizes(training: Training, settings: TrainingSettings, *, limit_gb: float | None = None) -> BatchSizes:
    """Train copies with batch_size, then twice as many and so on, until memory or the training samples are exhausted.

    `limit_gb` is the most memory that may be taken; on a CPU and on MPS it is nine tenths of what there is unless
    given. A size that would exceed it, going by the two before, is not tried. Raises UserError if not even
    batch_size fits.
    """
    device, _ = choose_device(settings.device)
    if limit_gb is None and device.type != "cuda":
        limit_gb = LIMIT * available_memory_gb(device)
    tried: list[Tried] = []
    ended = f"the {len(training.train)} training samples are exhausted"
    size = min(settings.batch_size, len(training.train))
    while size <= len(training.train):
        if limit_gb is not None and _expected_gb(tried) > limit_gb:
            ended = f"{size} would take about {_expected_gb(tried):.1f} GB"
            break
        one = _try(training, settings, size=size, device=device)
        if one is None:
            ended = f"{size} is out of memory"
            break
        if limit_gb is not None and one.memory_gb > limit_gb:
            ended = f"{size} takes {one.memory_gb:.1f} GB"
            break
        log.info("batch size %d: %.1f samples/s, %.2f GB", size, one.samples_per_second, one.memory_gb)
        tried.append(one)
        size *= 2
    if not tried:
        raise UserError(
            f"Not even batch_size {size} fits ({ended}); begin with a smaller one, or make the model smaller."
        )
    return BatchSizes(tried, ended, limit_gb, str(device))


def _try(training: Training, settings: TrainingSettings, *, size: int, device: torch.device) -> Tried | None:
    """Train some windows of one batch of `size` samples; None when that is out of memory."""
    changes = {
        "max_epochs": 1,
        "batch_size": size,
        "accumulate_batches": 1,
        "samples_per_epoch": WINDOWS[1] * size,
        # The speed is that of any learning rate, and this one does no harm.
        "schedule": "constant",
        "learning_rate": 1e-8,
    }
    gc.collect()
    reset_peak_memory(device)
    pace = _Pace(time.perf_counter())
    try:
        _observe(training, settings, changes, recorder=pace, should_stop=lambda: pace.enough)
    except (MemoryError, RuntimeError, UserError) as error:
        if not out_of_memory(error):
            raise
        return None
    seconds = pace.times[-1] - pace.times[0]  # the first window, which allocates, ends at times[0]
    return Tried(size, (len(pace.times) - 1) * size / seconds, memory_gb(device))


def out_of_memory(error: BaseException | None) -> bool:
    """Whether this error, or one that caused it, says that a device or the machine has no memory left."""
    while error is not None:
        if is_out_of_memory(error):
            return True
        error = error.__cause__
    return False


def _observe(
    training: Training,
    settings: TrainingSettings,
    changes: dict[str, Any],
    *,
    recorder: Recorder,
    should_stop: Callable[[], bool],
) -> None:
    """`fit` on a copy of the task, in a directory that is gone afterwards, until it is done or `should_stop`.

    Raises KeyboardInterrupt for a signal: there is nothing to go on from.
    """
    changed = type(settings).parse({**settings.model_dump(), **OBSERVED, **changes}, where="the settings of this trial")
    device, _ = choose_device(settings.device)
    with tempfile.TemporaryDirectory() as directory, _same_generators(device):
        try:
            fit(
                copy.deepcopy(training.task),
                train=training.train,
                validation=None,
                settings=changed,
                directory=Path(directory),
                recorder=recorder,
                should_stop=should_stop,
            )
        except Interrupted as stopped:
            if not should_stop():
                raise KeyboardInterrupt(stopped.cause) from None


@contextmanager
def _same_generators(device: torch.device) -> Iterator[None]:
    before = capture_generators(device)
    try:
        yield
    finally:
        restore_generators(before, device)


class _Course(Recorder):
    """Learning rate and losses of each step, and why there should be no further one."""

    def __init__(self, steps: int, weights: Mapping[str, float]) -> None:
        self.steps, self.weights = steps, weights
        self.rates: list[float] = []
        self.terms: list[Row] = []
        self.ended: str | None = None

    def step(self, row: Row) -> None:
        self.rates.append(row["learning_rate"])
        ends = "_loss"
        names = [name for name in row if name.endswith(ends) and name != "running_loss"]
        self.terms.append({name.removesuffix(ends): row[name] for name in names})
        if _diverged(self.losses()):
            self.ended = "the loss diverged"
        elif len(self.rates) == self.steps:
            self.ended = f"all {self.steps} steps are done"

    def losses(self) -> np.ndarray:
        """The total at each step, float [steps].

        A term without targets in a window counts with its value in the window before (at the beginning, with its
        first), for a total that leaves a term out cannot be held against one that does not.
        """
        total = np.zeros(len(self.terms))
        for term in sorted({term for step in self.terms for term in step}):
            known = [i for i, step in enumerate(self.terms) if term in step]
            latest = np.maximum(np.searchsorted(known, np.arange(len(self.terms)), side="right") - 1, 0)
            values = np.array([self.terms[i][term] for i in known])
            total += self.weights.get(term, 1.0) * values[latest]
        return total


def _diverged(losses: np.ndarray) -> bool:
    """Whether the running mean is four times the lowest so far, where losses are positive and far from zero.

    The first ten steps are not judged: one lucky window would be the lowest of all.
    """
    if len(losses) < SETTLED:
        return False
    weighted = norm = 0.0
    means = []
    for loss in losses.tolist():
        weighted, norm = RUNNING * weighted + loss, RUNNING * norm + 1
        means.append(weighted / norm)
    best = min(means[SETTLED - 1 :])
    scale = max(abs(best), NEAR_ZERO * abs(means[0]))
    return bool(means[-1] > best + (DIVERGED - 1) * scale)


class _Pace(Recorder):
    """When each window ended."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.times: list[float] = []

    @property
    def enough(self) -> bool:
        return len(self.times) >= WINDOWS[0] and self.times[-1] - self.began > SECONDS

    def step(self, row: Row) -> None:
        self.times.append(time.perf_counter())


def _centred(values: np.ndarray) -> np.ndarray:
    """Mean over the steps around each, fewer at the ends: a running mean would lag, and shift the steepest point."""
    reach = max(1, round(SMOOTH * len(values)))
    return np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))])


def _expected_gb(tried: list[Tried]) -> float:
    """Memory of twice the last batch size, if it goes on growing by as much for each sample."""
    if len(tried) < 2:
        return tried[-1].memory_gb if tried else 0.0
    before, last = tried[-2].memory_gb, tried[-1].memory_gb
    return last + 2 * max(0.0, last - before)
