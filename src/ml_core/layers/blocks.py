"""A tensor in pieces that stay in a core's own cache between one operation and the next."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_BYTES = 1 << 20  # a few arrays of this size fit the second cache of a server core (1 to 2 MB), or nearly


def blocks(count: int, *, row_bytes: int) -> Iterator[slice]:
    """Runs of rows that cover `count` rows in order, each of at most BLOCK_BYTES but at least one row."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def in_pieces(x: Tensor) -> bool:
    """Whether x is to be computed by hand: on a CPU; torch.compile fuses the plain formula by itself."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
