"""Graphs that are measured on: the simulator's, without their way through a file, and a random split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, Relation
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.settings import RawSettings
from ml_core.families.hgt.simulate import simulate

SPLIT = (0.8, 0.1, 0.1)


def simulated(nodes: int) -> tuple[KnowledgeGraph, EdgeSplits]:
    """The simulator's graph, without its way through a file, and a random split."""
    made = simulate(RawSettings(nodes=nodes))
    names = list(made.types)
    offsets = np.concatenate([[0], np.cumsum([len(made.types[name]) for name in names])]).astype(np.int64)
    first = dict(zip(names, offsets[:-1], strict=True))
    relations = [Relation(plan.name, plan.head, plan.tail, symmetric=plan.head == plan.tail) for plan in made.relations]
    ends = [made.edges[plan.name] for plan in made.relations]
    counts = np.concatenate([[0], np.cumsum([len(heads) for heads, _ in ends])]).astype(np.int64)
    head = np.concatenate([heads + first[of.head] for of, (heads, _) in zip(relations, ends, strict=True)])
    tail = np.concatenate([tails + first[of.tail] for of, (_, tails) in zip(relations, ends, strict=True)])
    graph = KnowledgeGraph(
        names, offsets, relations, counts, head.astype(np.int32), tail.astype(np.int32), labels=pd.DataFrame()
    )
    part = np.random.default_rng(0).choice(3, p=SPLIT, size=len(head)).astype(np.int8)
    return graph, EdgeSplits(part, np.zeros(0, np.int32), np.zeros(0, np.int8))


def model_settings(width: int, **changes: Any) -> ModelSettings:
    """Of an epoch that is measured: vectors and layers of one width, no contrastive loss, one thread."""
    fixed = {"embedding_dim": width, "hidden_dim": width, "contrastive_weight": 0.0, "threads": 1, "device": "cpu"}
    return ModelSettings(**{**fixed, **changes})
