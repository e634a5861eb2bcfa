"""Target edges of one relation with the nodes that they are told apart from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ml_core.families.hgt.known import Known


@dataclass(frozen=True)
class Question:
    """One side of target edges: who of `other` belongs to the node that asks?

    **Shapes**: k targets, u distinct asking nodes, c others: asking [u], row [k] into it; answer [k]; other [c];
    hit [2, h]: pairs (of asking, of other) that are known and do not count as wrong. All int64, numbers of nodes in the
    message graph.
    """

    asking: Tensor
    row: Tensor
    answer: Tensor
    other: Tensor
    hit: Tensor


@dataclass(frozen=True)
class Links:
    """Targets of one relation, asked from both sides; weight: a number, what each counts in the loss."""

    relation: int
    weight: Tensor
    tails: Question
    heads: Question

    @property
    def count(self) -> int:
        return len(self.tails.row)


def links_of(
    known: Known,
    relation: int,
    edges: np.ndarray,
    *,
    other_heads: np.ndarray,
    other_tails: np.ndarray,
    weight: float = 1.0,
) -> Links:
    """Of canonical edges (indices) and the others on both sides (numbers within their types, each once)."""
    graph = known.graph
    of = graph.relations[relation]
    at_head, at_tail = graph.nodes_of(of.head).start, graph.nodes_of(of.tail).start
    head = np.asarray(graph.head[edges], np.int64) - at_head
    tail = np.asarray(graph.tail[edges], np.int64) - at_tail
    return Links(
        relation,
        torch.tensor(weight, dtype=torch.float32),
        _question(known, relation, 0, head, tail, other_tails, at_head, at_tail),
        _question(known, relation, 1, tail, head, other_heads, at_tail, at_head),
    )


def _question(
    known: Known,
    relation: int,
    side: int,
    asking: np.ndarray,
    answer: np.ndarray,
    other: np.ndarray,
    first_asking: int,
    first_other: int,
) -> Question:
    distinct, row = np.unique(asking, return_inverse=True)
    hit = known.hits(relation, side, distinct, other)
    arrays = (distinct + first_asking, row, answer + first_other, other + first_other, np.stack(hit))
    return Question(*(torch.from_numpy(np.ascontiguousarray(each, dtype=np.int64)) for each in arrays))
