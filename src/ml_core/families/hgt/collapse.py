"""Live signs of collapse: how many directions embeddings of a type use, and how alike they are."""

from __future__ import annotations

import itertools

import numpy as np
from torch import Tensor

from ml_core.metrics.embedding import effective_rank, mean_cosine


def collapse(z: Tensor, type_offsets: list[int]) -> np.ndarray:
    """(effective rank, within-type cosine) of each type, float64 [types, 2]; NaN for types of fewer than two nodes."""
    found = np.full((len(type_offsets) - 1, 2), np.nan)
    for number, (first, last) in enumerate(itertools.pairwise(type_offsets)):
        if last - first > 1:
            part = z[first:last].detach().float().cpu().numpy()
            found[number] = effective_rank(part), mean_cosine(part)
    return found
