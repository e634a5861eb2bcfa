"""In which order an epoch draws its samples, as a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ml_core.errors import UserError
from ml_core.training.task import OrderedSamples, Samples


@dataclass(frozen=True)
class EpochPlan:
    """The order of the samples in each epoch.

    Shuffled without weights; drawn with replacement with weights (float [samples]); or the samples' own `order`.
    Nothing is remembered between epochs, so a resumed run needs only the epoch and its position in it.
    """

    population: int
    size: int  # samples drawn for one epoch
    seed: int
    weights: np.ndarray | None = None
    own: OrderedSamples | None = None

    def order(self, epoch: int) -> np.ndarray:
        """Sample indices of an epoch, int64 [size]."""
        if self.own is not None:
            order = np.asarray(self.own.order(seed=self.seed, epoch=epoch, size=self.size), dtype=np.int64)
            if order.shape != (self.size,):
                raise UserError(
                    f"The samples' order of epoch {epoch}: expected {self.size} sample indices, found {len(order)}."
                )
            return order
        random = np.random.default_rng([self.seed, epoch])
        if self.weights is not None:
            upper: np.ndarray = np.cumsum(self.weights, dtype=np.float64)
            drawn: np.ndarray = np.searchsorted(upper, random.random(self.size) * upper[-1], side="right")
            return drawn.astype(np.int64)
        rounds = -(-self.size // self.population)  # an epoch longer than the population shuffles it several times
        return np.concatenate([random.permutation(self.population) for _ in range(rounds)])[: self.size].astype(
            np.int64
        )


def plan_epochs(samples: Samples, *, seed: int, samples_per_epoch: int | None) -> EpochPlan:
    """The plan for these samples. Raises UserError for an empty set or for weights that cannot be drawn from."""
    population = len(samples)
    if population == 0:
        raise UserError("The training set has no samples; check the split and the filters that made it.")
    weights = getattr(samples, "weights", None)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != (population,) or not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
            raise UserError(
                f"Sample weights must be {population:,} finite numbers, none negative and not all zero; "
                f"found shape {weights.shape}."
            )
    own = samples if isinstance(samples, OrderedSamples) else None
    return EpochPlan(population, samples_per_epoch or population, seed, weights, own)


@dataclass(frozen=True)
class Window:
    """One optimizer step: how many samples it has in all, and the index arrays of this process' forward passes."""

    size: int
    batches: list[np.ndarray]


def windows(
    order: np.ndarray,
    *,
    start: int,
    window_size: int,
    batch_size: int,
    share: Callable[[np.ndarray], np.ndarray] = lambda window: window,
) -> Iterator[Window]:
    """The windows of an epoch from sample `start` on. `share` takes this process' part of a window's samples."""
    for first in range(start, len(order), window_size):
        window = order[first : first + window_size]
        own = share(window)
        yield Window(len(window), [own[i : i + batch_size] for i in range(0, len(own), batch_size)])
