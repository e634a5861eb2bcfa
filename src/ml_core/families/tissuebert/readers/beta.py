"""Counts as .beta: two bytes, methylated and covered reads, for each CpG of the genome in its numbering."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.errors import UserError

WHAT = "counts as .beta (two bytes, methylated and covered, for each CpG of the genome)"


def read_beta(path: Path) -> np.ndarray:
    """uint8 [CpGs, 2], memory-mapped; row k is CpG number k + 1. UserError where it can be no such file."""
    size = path.stat().st_size
    if not size or size % 2:
        raise UserError(f"{path}: has {size:,} bytes, expected {WHAT}, so an even number; fetch the file again.")
    counts = np.memmap(path, np.uint8, mode="r").reshape(-1, 2)
    if (counts[:, 0] > counts[:, 1]).any():
        at = int((counts[:, 0] > counts[:, 1]).argmax())
        raise UserError(
            f"{path}: CpG {at + 1:,} has {counts[at, 0]} methylated of {counts[at, 1]} reads, expected no more than "
            f"all; give {WHAT}."
        )
    return counts
