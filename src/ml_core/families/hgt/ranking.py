"""Ranks of true nodes among all nodes of their type, for the validation while training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ml_core.families.hgt.links import Links, Question


@torch.no_grad()
def ranks(z: Tensor, decoder: Tensor, links: Links, *, chunk: int) -> np.ndarray:
    """Filtered rank of the true tail and of the true head of each target, float64 [k, 2]; ties count half."""
    sides = [_ranks(z, decoder[links.relation], question, chunk=chunk) for question in (links.tails, links.heads)]
    return np.stack(sides, axis=1)


def _ranks(z: Tensor, weight: Tensor, question: Question, *, chunk: int) -> np.ndarray:
    others = z.index_select(0, question.other)
    known = torch.zeros(len(question.asking), len(question.other), dtype=torch.bool, device=z.device)
    known[question.hit[0], question.hit[1]] = True
    found = []
    for first in range(0, len(question.row), chunk):
        row = question.row[first : first + chunk]
        query = z.index_select(0, question.asking.index_select(0, row)) * weight
        right = (query * z.index_select(0, question.answer[first : first + chunk])).sum(1, keepdim=True)
        wrong = query @ others.T
        counts = ~known.index_select(0, row)
        above = ((wrong > right) & counts).sum(1)
        level = ((wrong == right) & counts).sum(1)
        found.append((1 + above + 0.5 * level).double())
    return torch.cat(found).cpu().numpy() if found else np.zeros(0)
