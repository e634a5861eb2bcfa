"""What every node listens to: the trained network's attention on all training edges, layer by layer."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ml_core.families.hgt.conv import HGTConv
from ml_core.families.hgt.messages import MessageGraph, Messages, directed_relations
from ml_core.families.hgt.model import HGT, Layer

EDGES_AT_A_TIME = 500_000


@torch.no_grad()
def states(model: HGT, messages: Messages) -> list[Tensor]:
    """What each node is before the first layer, after it, ..., after the last: layers + 1 times [n, hidden]."""
    graph = messages.whole()
    found = [model.start(model.embedding(None), messages.type_offsets)]
    for layer in model.layers:
        found.append(layer(found[-1], graph))
    return found


def attention_by_layer(model: HGT, known: list[Tensor], graph: MessageGraph) -> list[np.ndarray]:
    """`attention` of every layer; `known` are the `states`."""
    found = []
    for layer, x in zip(model.layers, known, strict=False):
        assert isinstance(layer, Layer)
        found.append(attention(layer.conv, x, graph))
    return found


@torch.no_grad()
def attention(conv: HGTConv, x: Tensor, graph: MessageGraph) -> np.ndarray:
    """Attention of each directed edge (sorted by target), the mean over heads, [d] float64; a target's sum to 1."""
    query = conv.query(x, graph.type_offsets).unflatten(1, (conv.heads, -1)).transpose(0, 1)  # [heads, n, depth]
    key, _ = conv.rows(conv.key(x, graph.type_offsets), conv.value(x, graph.type_offsets), graph)
    source, target = graph.structure.source.long(), graph.structure.target.long()
    scale = 1 / math.sqrt(query.size(-1))
    mean = np.zeros(len(source))
    for of_query, of_key in zip(query, key, strict=True):
        logit = np.concatenate(
            [
                (of_query[target[part]] * of_key[source[part]]).sum(1).numpy() * scale
                for part in (slice(at, at + EDGES_AT_A_TIME) for at in range(0, len(source), EDGES_AT_A_TIME))
            ]
            or [np.zeros(0)]
        )
        mean += _softmax(logit.astype(np.float64), target.numpy(), graph.node_count) / conv.heads
    return mean


def edges_of(messages: Messages) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """source, target, canonical relation [d] of the directed edges, in the order of `attention`."""
    canonical = np.array([relation for relation, _ in directed_relations(messages.graph.relations)])
    rows = messages.source_row
    return messages.row_node[rows], messages.target, canonical[messages.row_relation[rows]]


def _softmax(logit: np.ndarray, target: np.ndarray, nodes: int) -> np.ndarray:
    top = np.full(nodes, -np.inf)
    np.maximum.at(top, target, logit)
    weight = np.exp(logit - top[target])
    share: np.ndarray = weight / np.bincount(target, weights=weight, minlength=nodes)[target]
    return share
