"""Losses, metrics and figures over a whole validation set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ml_core.data.batch import to_device
from ml_core.errors import UserError
from ml_core.training.fetching import loader_of
from ml_core.training.generators import separate_generators
from ml_core.training.interrupt import StopAsked
from ml_core.training.journal import Journal
from ml_core.training.machine import Machine
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row
from ml_core.training.task import Forward, Samples, Task


@dataclass(frozen=True)
class Pooled:
    """Mean loss of each term over all targets, and predictions of all samples in order; on the first rank only."""

    losses: dict[str, float]
    predictions: dict[str, np.ndarray]


@dataclass(frozen=True)
class Judged:
    """What one batch says: targets and mean loss of each term, and predictions."""

    counts: dict[str, int]
    means: dict[str, float]
    predictions: dict[str, np.ndarray]


class Validation:
    """A validation set: what it says of the model, and that asking it disturbs nothing.

    Raises UserError for a set without samples.
    """

    def __init__(
        self,
        task: Task,
        forward: Forward,
        samples: Samples,
        *,
        settings: TrainingSettings,
        machine: Machine,
    ) -> None:
        self.size = len(samples)
        if self.size == 0:
            raise UserError("The validation set has no samples; check the split, or train without validation.")
        self._task, self._forward, self._loader = task, forward, loader_of(samples, settings, machine)
        self._settings, self._machine = settings, machine

    def values(self, journal: Journal, *, step: int, figures: bool, stop_asked: Callable[[], str | None]) -> Row:
        """Losses and metrics over the whole set as val_*, on every rank; with `figures` the journal gets those.

        The generators are put back afterwards, also when `stop_asked` breaks it off with StopAsked; only the model's
        mode is left for the caller to set. Raises UserError if what `monitor` names is not among them.
        """
        task, monitor = self._task, self._settings.monitor
        pooled = self._pooled(stop_asked)
        values: Row = {}
        if pooled is not None:
            with separate_generators(self._settings.seed, self._machine.device):
                values = named("val", task.loss_row(pooled.losses) | task.metrics(pooled.predictions))
                journal.figures(task.figures(pooled.predictions) if figures else {}, step=step)
        values = self._machine.processes.broadcast(values)
        if monitor.startswith("val_") and monitor not in values:
            raise UserError(f"monitor is '{monitor}', but the task gives {', '.join(values)}; choose one of them.")
        return values

    def _pooled(self, stop_asked: Callable[[], str | None]) -> Pooled | None:
        """Evaluate all samples in their own order, in eval mode and without gradients.

        Rank r of n takes every n-th batch from the r-th on; the first rank puts them in order and gets the result, the
        others None.
        """
        task, device, processes = self._task, self._machine.device, self._machine.processes
        everything, batch_size = np.arange(self.size), self._settings.batch_size
        batches = [everything[i : i + batch_size] for i in range(0, self.size, batch_size)]
        judged: list[Judged] = []
        asked = None
        task.model.eval()
        with separate_generators(self._settings.seed, device), torch.no_grad():
            for batch in self._loader.batches(batches[processes.rank :: processes.size], epoch=0):
                if asked := stop_asked():
                    break
                counts = task.counts(batch)
                with self._machine.precision.autocast():
                    means, predictions = task.evaluate(to_device(batch, device), self._forward)
                judged.append(Judged(counts, {t: float(means[t]) for t in counts if counts[t]}, predictions))
        causes = [cause for cause in processes.gather(asked) if cause]
        if causes:
            raise StopAsked(causes[0])
        of_ranks = processes.collect(judged)
        if of_ranks is None:
            return None
        return _pool([of_ranks[i % processes.size][i // processes.size] for i in range(len(batches))])


def named(prefix: str, values: Row) -> Row:
    """The values as `<prefix>_<name>`."""
    return {f"{prefix}_{name}": float(value) for name, value in values.items()}


def _pool(judged: list[Judged]) -> Pooled:
    """In the order of the batches, so that the sums do not depend on the number of ranks."""
    sums: dict[str, float] = {}
    targets: dict[str, int] = {}
    parts: dict[str, list[np.ndarray]] = {}
    for batch in judged:
        for term, mean in batch.means.items():
            sums[term] = sums.get(term, 0.0) + mean * batch.counts[term]
            targets[term] = targets.get(term, 0) + batch.counts[term]
        for name, values in batch.predictions.items():
            parts.setdefault(name, []).append(values)
    losses = {term: total / targets[term] for term, total in sums.items()}
    return Pooled(losses, {name: np.concatenate(values) for name, values in parts.items()})
