"""HGT's layer, forward and backward, beside PyG's HGTConv with the same weights: CPU time, memory, equal outputs.

4,200 nodes of 10 types, 12,500 directed edges of 30 relations, width 256.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ml_core.bench.case import Request, Row
from ml_core.bench.turns import Contender, cheaper, lighter, take_turns
from ml_core.families.hgt.conv import HGTConv
from ml_core.families.hgt.data import KnowledgeGraph, Relation
from ml_core.families.hgt.messages import MessageGraph, Messages, directed_relations
from ml_core.families.hgt.peer import Key, edges_by_relation, peer_of

TYPES, HEADS = 10, 8
OURS, PYG = "ml_core HGTConv", "PyG HGTConv"
FULL, QUICK = (4200, 12_500, 30, 256), (400, 1200, 30, 32)  # nodes, edges, relations, width
AGREEMENT = 1e-5


def rows(request: Request) -> list[Row]:
    sizes = QUICK if request.quick else FULL
    ours, pyg = take_turns(
        [Contender(name, step_of, (name, *sizes)) for name in (OURS, PYG)],
        rounds=request.rounds,
    )
    apart = 0.0
    for what, left, right in zip(("output", "gradient"), ours.answers[0], pyg.answers[0], strict=True):
        np.testing.assert_allclose(left, right, rtol=AGREEMENT, atol=AGREEMENT, err_msg=what)
        apart = max(apart, float(np.abs(left - right).max()))
    what = "layer, forward and backward, {:,} nodes, {:,} edges, {} relations, width {}".format(*sizes)
    found = [cheaper(what, ours, pyg, least=15, note=f"outputs and gradients within {apart:.0e}")]
    memory = lighter("the same, memory", ours, pyg, least=2)
    return [*found, memory] if memory else found


def random_graph(nodes: int, edges: int, relations: int) -> KnowledgeGraph:
    """Types of equal size; half the relations forward, which messages reverse; about `edges` directed edges in all."""
    rng = np.random.default_rng(0)
    names = [f"type{number}" for number in range(TYPES)]
    offsets = np.linspace(0, nodes, TYPES + 1).astype(np.int64)
    pairs = [(number % TYPES, (number * 3 + 1 + number // TYPES) % TYPES) for number in range(relations // 2)]
    described = [Relation(f"relation{at}", names[a], names[b]) for at, (a, b) in enumerate(pairs)]
    heads, tails, counts = [], [], [0]
    for a, b in pairs:
        drawn = np.stack([rng.integers(offsets[k], offsets[k + 1], size=edges // relations) for k in (a, b)])
        drawn = np.unique(drawn, axis=1)
        heads.append(drawn[0])
        tails.append(drawn[1])
        counts.append(counts[-1] + drawn.shape[1])
    head, tail = (np.concatenate(each).astype(np.int32) for each in (heads, tails))
    return KnowledgeGraph(names, offsets, described, np.array(counts, np.int64), head, tail, pd.DataFrame())


def step_of(
    name: str, nodes: int, edges: int, relations: int, width: int
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """The step of one side: output and gradient of the input, both [n, width]."""
    warnings.filterwarnings("ignore")
    graph = random_graph(nodes, edges, relations)
    messages: MessageGraph = Messages(graph, np.arange(graph.edge_count)).whole()
    keys: list[Key] = []
    for index, backwards in directed_relations(graph.relations):
        of = graph.relations[index]
        keys.append((of.tail, f"rev_{of.name}", of.head) if backwards else (of.head, of.name, of.tail))
    torch.manual_seed(0)
    ours = HGTConv(TYPES, len(keys), channels=width, heads=HEADS)
    theirs = peer_of(ours, keys, graph.node_types)
    by_relation = edges_by_relation(messages, keys, graph.node_types)
    x, weight = torch.randn(nodes, width), torch.randn(nodes, width)
    sizes = np.diff(graph.type_offsets).tolist()

    def step(forward: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
        given = x.clone().requires_grad_()
        out = forward(given)
        (out * weight).sum().backward()  # type: ignore[no-untyped-call]
        assert given.grad is not None
        return out.detach().numpy(), given.grad.numpy()

    def pyg(given: Tensor) -> Tensor:
        found = theirs(dict(zip(graph.node_types, torch.split(given, sizes), strict=True)), by_relation)
        return torch.cat([found.get(name, torch.zeros(0, width)) for name in graph.node_types])

    return lambda: step(pyg if name == PYG else lambda given: ours(given, messages))
