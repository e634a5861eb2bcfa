"""What a family tells the trainer: its model, its losses, its metrics, and how to fetch samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ml_core.training.state import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Batch = Any  # a tensor, or anything `ml_core.data.batch.to_device` can move
Forward = Callable[..., Any]


class Samples(Protocol):
    """A set of samples that is read a batch at a time.

    Two optional members change the order of an epoch:

    - `weights`: float array [samples]; samples are drawn with replacement, each with a chance in proportion.
    - `order(*, seed, epoch, size)`: the order itself, int array [size]; a pure function of its arguments.
    """

    def __len__(self) -> int: ...

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        """The batch of these samples (int64 [batch]).

        Augmentation must be a pure function of (seed, epoch, sample index): a resumed run fetches in another process.
        """
        ...


@runtime_checkable
class OrderedSamples(Protocol):
    """Samples that decide themselves in which order an epoch draws them."""

    def order(self, *, seed: int, epoch: int, size: int) -> np.ndarray: ...


class Task(ABC):
    """A model with its losses and metrics.

    Attributes
    ----------
    model
        The module that is trained; `fit` moves it to the device and leaves the best weights in it.
    weights
        Factor of each loss term in the total; a term that is not named counts 1.
    bf16_agrees_on_cpu
        Declares that test metrics in bf16 on a CPU agree with fp32 within noise, so that `precision: auto` may use it.
    checkpointed
        Parts of the model that `gradient_checkpointing` recomputes: module names with wildcards, such as `layers.*`.
        Of modules in one another the outermost counts.
    """

    model: torch.nn.Module
    weights: Mapping[str, float] = {}
    bf16_agrees_on_cpu: bool = False
    checkpointed: Sequence[str] = ()

    @abstractmethod
    def counts(self, batch: Batch) -> dict[str, int]:
        """Targets of each loss term in a batch that is still on the CPU. Must not run the model."""

    @abstractmethod
    def losses(self, batch: Batch, forward: Forward) -> dict[str, Tensor]:
        """Mean loss of each term (scalars) over the targets that `counts` counted.

        `forward` is the model as it must be called in training: it may be compiled or distributed.
        """

    @abstractmethod
    def predictions(self, batch: Batch) -> dict[str, np.ndarray]:
        """What `metrics` needs from one batch: arrays whose first axis is pooled over the batches."""

    @abstractmethod
    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """Metrics over the pooled predictions of a whole validation set; the history calls them val_<name>."""

    def evaluate(self, batch: Batch, forward: Forward) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Losses and predictions of a validation batch. Override it to get both from one forward pass."""
        return self.losses(batch, forward), self.predictions(batch)

    def figures(self, predictions: dict[str, np.ndarray]) -> dict[str, Figure]:
        """Figures of a validation, such as a confusion matrix."""
        return {}

    def weight(self, term: str) -> float:
        """The factor of a loss term in the total."""
        return self.weights.get(term, 1.0)

    def total(self, terms: Mapping[str, float]) -> float:
        """The loss that is minimised, of the mean of each term."""
        return sum(self.weight(term) * value for term, value in terms.items())

    def loss_row(self, terms: Mapping[str, float]) -> Row:
        """The total as `loss`, and each term as `<term>_loss`."""
        return {"loss": self.total(terms), **{f"{term}_loss": value for term, value in terms.items()}}


@dataclass(frozen=True)
class Training:
    """What a stage would train: everything that `fit` needs besides settings and a directory.

    fingerprint: what else must not change when a run goes on, such as the digests of its inputs.
    """

    task: Task
    train: Samples
    validation: Samples | None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
