"""The random generators that training draws from: seeded, saved, restored, and kept apart from validation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch (all devices). Call it before building a model."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries below us may still draw from the global generator
    torch.manual_seed(seed)


def seed_rank(seed: int, rank: int) -> None:
    """Seed as `seed_generators`, but with numbers of its own for each rank above 0: their dropout must differ."""
    seed_generators(seed if rank == 0 else int(np.random.SeedSequence([seed, rank]).generate_state(1)[0]))


def capture_generators(device: torch.device) -> dict[str, Any]:
    """The state of every global generator, as types that `torch.load(weights_only=True)` accepts."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "torch": capture_torch(device),
    }


def restore_generators(states: dict[str, Any], device: torch.device) -> None:
    """Put every generator back; an accelerator's only if this run has the same kind of accelerator."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    restore_torch(states["torch"], device)


def capture_torch(device: torch.device) -> dict[str, Tensor]:
    """PyTorch's generators alone, by kind of device: 1 us, where NumPy's takes 60."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_torch(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    if device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


@contextmanager
def separate_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, the generators start from `seed`, so validation draws the same numbers each time; then as before."""
    before = capture_generators(device)
    seed_generators(seed)
    try:
        yield
    finally:
        restore_generators(before, device)
