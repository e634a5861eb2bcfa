"""A small simulated knowledge graph and its splits, in memory."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, Relation
from ml_core.families.hgt.settings import RawSettings
from ml_core.families.hgt.simulate import simulate

TYPES = ("drug", "disease", "gene/protein")


@cache
def tiny_graph(nodes: int = 600, *, seed: int = 0, types: tuple[str, ...] = TYPES) -> KnowledgeGraph:
    """Drugs, diseases and genes of a simulated graph of `nodes` nodes (of ten types), with all relations among them."""
    simulated = simulate(RawSettings(nodes=nodes, communities=6, noise=0.1, hub_sigma=0.7, seed=seed))
    kept = [simulated.types[name] for name in types]
    offsets = np.cumsum([0, *(len(each) for each in kept)])
    first = dict(zip(types, offsets.tolist(), strict=False))
    plans = [plan for plan in simulated.relations if plan.head in types and plan.tail in types]
    edges = [simulated.edges[plan.name] for plan in plans]
    labels = [
        pd.DataFrame(
            {"node_type": each.plan.name, "node_id": each.ids, "node_name": each.names, "node_source": each.plan.source}
        )
        for each in kept
    ]
    return KnowledgeGraph(
        node_types=list(types),
        type_offsets=offsets.astype(np.int64),
        relations=[Relation(plan.name, plan.head, plan.tail, symmetric=plan.head == plan.tail) for plan in plans],
        relation_offsets=np.cumsum([0, *(len(heads) for heads, _ in edges)]).astype(np.int64),
        head=np.concatenate([h + first[p.head] for p, (h, _) in zip(plans, edges, strict=True)]).astype(np.int32),
        tail=np.concatenate([t + first[p.tail] for p, (_, t) in zip(plans, edges, strict=True)]).astype(np.int32),
        labels=pd.concat(labels, ignore_index=True),
    )


@cache
def tiny_splits(nodes: int = 600, *, seed: int = 0, types: tuple[str, ...] = TYPES) -> EdgeSplits:
    """80 % of each relation's edges for training, 10 % each for validation and test."""
    graph = tiny_graph(nodes, seed=seed, types=types)
    rng = np.random.default_rng(seed)
    part = np.zeros(graph.edge_count, np.int8)
    for relation in range(len(graph.relations)):
        edges = graph.edges_of(relation)
        drawn = rng.permutation(edges.stop - edges.start)
        part[edges] = np.select([drawn < 0.1 * len(drawn), drawn < 0.2 * len(drawn)], [2, 1], 0)
    return EdgeSplits(part, np.empty(0, np.int32), np.empty(0, np.int8))
