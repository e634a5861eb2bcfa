"""Random numbers by place: each is a pure function of its counters, so that any batch can be drawn again by itself."""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniform(key: int, counters: np.ndarray) -> np.ndarray:
    """float64 in [0, 1) of integer counters of any shape: SplitMix64 (Steele et al. 2014) of key and counter."""
    start = _mixed(np.array([key % 2**64], np.uint64))
    bits = _mixed(_mixed(start + np.asarray(counters).astype(np.uint64) * _GOLDEN))
    drawn: np.ndarray = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn


def key_of(*parts: int) -> int:
    """One key of several: seed, epoch, stream."""
    state = np.zeros(1, np.uint64)
    for part in parts:
        state = _mixed(state * _GOLDEN + np.array([part % 2**64], np.uint64))
    return int(state[0])


def _mixed(x: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = x + _GOLDEN
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= factor
    mixed ^= mixed >> np.uint64(31)
    return mixed
