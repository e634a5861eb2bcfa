"""Masks of dropout from fast random bytes, laid on as whole numbers: the bits of a value times 0 or 1."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_LEVELS = 1 << 16
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


class Masks:
    """Masks that drop with chance p, exact to 1 / 65,536; what is kept grows by `scale`.

    The seed is one number from PyTorch's global generator, so that whoever saves and restores that one (the trainer,
    gradient checkpointing) gets the same masks again.
    """

    def __init__(self, p: float) -> None:
        self._below = round(p * _LEVELS)
        self.scale = _LEVELS / (_LEVELS - self._below)
        self._random = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, ()).item())))

    def draw_(self, keep: Tensor) -> Tensor:
        """Fill keep, bool: True where a value is kept. Pieces of a multiple of four are those of one large draw."""
        words = self._random.integers(0, 2**64, size=-(-keep.numel() // 4), dtype=np.uint64)
        levels = words.view(np.uint16)[: keep.numel()].reshape(keep.shape)
        np.greater_equal(levels, self._below, out=keep.numpy())
        return keep


def mask_(x: Tensor, keep: Tensor) -> Tensor:
    """x, set to 0 where not kept. numpy multiplies whole numbers by bools ten times as fast as PyTorch fills."""
    bits = _bits(x)
    np.multiply(bits, keep.numpy(), out=bits)
    return x


def masked(x: Tensor, keep: Tensor) -> Tensor:
    """A copy of x that is 0 where not kept."""
    copy = torch.empty_like(x)
    np.multiply(_bits(x), keep.numpy(), out=_bits(copy))
    return copy


def _bits(x: Tensor) -> np.ndarray:
    bits: np.ndarray = x.detach().view(_BITS[x.element_size()]).numpy()
    return bits
