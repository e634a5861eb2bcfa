"""Losses and predictions over a whole validation set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ml_core.data.batch import to_device
from ml_core.data.loader import Loader
from ml_core.training.generators import separate_generators
from ml_core.training.interrupt import StopAsked
from ml_core.training.precision import Precision
from ml_core.training.processes import Processes
from ml_core.training.task import Forward, Task


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


def validate(
    task: Task,
    forward: Forward,
    loader: Loader,
    *,
    size: int,
    batch_size: int,
    seed: int,
    device: torch.device,
    precision: Precision,
    processes: Processes,
    stop_asked: Callable[[], str | None],
) -> Pooled | None:
    """Evaluate all `size` samples in their own order, in eval mode and without gradients.

    Rank r of n takes every n-th batch from the r-th on; the first rank puts them in order and gets the result, the
    others None. The generators are put back afterwards, also when `stop_asked` breaks it off with StopAsked; only the
    model's mode is left for the caller to set.
    """
    everything = np.arange(size)
    batches = [everything[i : i + batch_size] for i in range(0, size, batch_size)]
    judged: list[Judged] = []
    asked = None
    task.model.eval()
    with separate_generators(seed, device), torch.no_grad():
        for batch in loader.batches(batches[processes.rank :: processes.size], epoch=0):
            if asked := stop_asked():
                break
            counts = task.counts(batch)
            with precision.autocast():
                means, predictions = task.evaluate(to_device(batch, device), forward)
            judged.append(Judged(counts, {term: float(means[term]) for term in counts if counts[term]}, predictions))
    causes = [cause for cause in processes.gather(asked) if cause]
    if causes:
        raise StopAsked(causes[0])
    of_ranks = processes.collect(judged)
    if of_ranks is None:
        return None
    return _pool([of_ranks[i % processes.size][i // processes.size] for i in range(len(batches))])


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
