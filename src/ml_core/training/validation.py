"""Losses and predictions over a whole validation set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ml_core.data.batch import to_device
from ml_core.data.loader import Loader
from ml_core.training.generators import separate_generators
from ml_core.training.precision import Precision
from ml_core.training.task import Forward, Task


@dataclass(frozen=True)
class Pooled:
    """Mean loss of each term over all targets, and predictions of all samples in order."""

    losses: dict[str, float]
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
    before_batch: Callable[[], None],
) -> Pooled:
    """Evaluate all `size` samples in their own order, in eval mode and without gradients.

    The generators are put back afterwards, also when `before_batch` raises to break it off; only the model's mode is
    left for the caller to set.
    """
    sums: dict[str, float] = {}
    targets: dict[str, int] = {}
    parts: dict[str, list[np.ndarray]] = {}
    everything = np.arange(size)
    task.model.eval()
    with separate_generators(seed, device), torch.no_grad():
        batches = [everything[i : i + batch_size] for i in range(0, size, batch_size)]
        for batch in loader.batches(batches, epoch=0):
            before_batch()
            counts = task.counts(batch)
            with precision.autocast():
                means, predictions = task.evaluate(to_device(batch, device), forward)
            for term, count in counts.items():
                if count:
                    sums[term] = sums.get(term, 0.0) + float(means[term]) * count
                    targets[term] = targets.get(term, 0) + count
            for name, values in predictions.items():
                parts.setdefault(name, []).append(values)
    losses = {term: total / targets[term] for term, total in sums.items()}
    return Pooled(losses, {name: np.concatenate(values) for name, values in parts.items()})
