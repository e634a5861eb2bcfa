"""Batches in a given order, fetched in this process or by workers, with the same result."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


class Fetches(Protocol):
    """The part of `ml_core.training.task.Samples` that a loader needs."""

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Any: ...


class Loader:
    """Fetches batches of samples by index.

    The epoch travels with each request, so workers hold no state and live on between epochs (`persistent_workers`).
    With `num_workers=0` it is a plain call of `samples.fetch`: faster than workers when the fetch is vectorised.
    """

    def __init__(
        self,
        samples: Fetches,
        *,
        seed: int,
        num_workers: int = 0,
        pin_memory: bool = False,
        persistent_workers: bool = False,
        prefetch_factor: int = 2,
    ) -> None:
        self._requests = _Requests()
        self._fetcher = _Fetcher(samples, seed)
        self._workers: DataLoader[Any] | None = None
        if num_workers > 0:
            self._workers = DataLoader(
                self._fetcher,
                batch_size=None,
                sampler=self._requests,
                num_workers=num_workers,
                pin_memory=pin_memory,
                persistent_workers=persistent_workers,
                prefetch_factor=prefetch_factor,
                worker_init_fn=_leave_signals_to_the_parent,
                # Its own generator: making the iterator draws a number, and from the global generator that number would
                # be missing from the dropout of an uninterrupted run.
                generator=torch.Generator().manual_seed(seed),
            )

    def batches(self, batches: Sequence[np.ndarray], *, epoch: int) -> Iterator[Any]:
        """The batch of each index array (int64 [batch]), in this order."""
        requests = [(epoch, indices) for indices in batches]
        if self._workers is None:
            return map(self._fetcher.__getitem__, requests)
        self._requests.pending = requests
        return iter(self._workers)


class _Requests(Sampler[tuple[int, np.ndarray]]):
    """What the workers are asked for next; set anew for each epoch."""

    def __init__(self) -> None:
        self.pending: list[tuple[int, np.ndarray]] = []

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        return iter(self.pending)

    def __len__(self) -> int:
        return len(self.pending)


class _Fetcher(Dataset[Any]):
    def __init__(self, samples: Fetches, seed: int) -> None:
        self._samples = samples
        self._seed = seed

    def __getitem__(self, request: tuple[int, np.ndarray]) -> Any:
        epoch, indices = request
        return self._samples.fetch(indices, seed=self._seed, epoch=epoch)


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C in a terminal reaches every process of the group; a worker that dies of it would fail the window."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
