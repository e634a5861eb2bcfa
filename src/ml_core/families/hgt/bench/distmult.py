"""An epoch of DistMult, all training edges, beside pykeen's at the same width and number of wrong answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

from ml_core.bench.case import Reach, Request, Row, without_peer
from ml_core.bench.turns import Contender, cheaper, take_turns
from ml_core.families.hgt.bench.simulated import model_settings, simulated
from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.train import prepare_on

NODES, QUICK_NODES, WIDTH, NEGATIVES = 1000, 300, 128, 32
LEAST = 2.0


def rows(request: Request) -> list[Row]:
    nodes = QUICK_NODES if request.quick else NODES
    what = f"epoch of DistMult, {nodes:,} nodes, width {WIDTH}, {2 * NEGATIVES} wrong answers of each edge"
    contenders = [Contender("ml_core", ours_of, (nodes,))]
    if not find_spec("pykeen"):
        (ours,) = take_turns(contenders, rounds=request.rounds)
        return [without_peer(what, reach=Reach(least=LEAST), ours=ours.side())]
    ours, pykeen = take_turns([*contenders, Contender("pykeen", pykeen_of, (nodes,))], rounds=request.rounds)
    assert ours.answers[0] == pykeen.answers[0], "the sides learn from different numbers of edges"
    return [cheaper(f"{what}, {ours.answers[0]:,} edges", ours, pykeen, least=LEAST)]


def ours_of(nodes: int) -> Callable[[], int]:
    """An epoch of vectors alone; both ends of an edge have their own wrong answers."""
    graph, splits = simulated(nodes)
    settings = model_settings(
        WIDTH,
        mode="edges",
        edge_sample_size=graph.edge_count,
        vector_share=0.5,
        vector_edges=0,
        negatives=NEGATIVES,
        max_epochs=10,
        slices=8,
        batch_size=1,
    )
    training = prepare_on(graph, splits, settings)
    task, samples = training.task, training.train
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-3, fused=True)

    def epoch() -> int:
        targets = 0
        for index in range(len(samples)):
            batch = samples.fetch(np.array([index]), seed=0, epoch=0)
            optimizer.zero_grad(set_to_none=True)
            task.losses(batch, task.model)["link"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            targets += task.counts(batch)["link"]
        return targets

    return epoch


def pykeen_of(nodes: int) -> Callable[[], int]:
    """As many steps, each of as many edges, with pykeen's defaults otherwise."""
    from pykeen.models import DistMult
    from pykeen.training import SLCWATrainingLoop
    from pykeen.triples import CoreTriplesFactory

    logging.getLogger("pykeen").setLevel(logging.ERROR)
    graph, splits = simulated(nodes)
    triples = _triples(graph, splits)
    factory = CoreTriplesFactory.create(torch.from_numpy(triples), graph.node_count, len(graph.relations))
    model = DistMult(triples_factory=factory, embedding_dim=WIDTH, random_seed=0)
    loop = SLCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=torch.optim.Adam(model.parameters()),
        negative_sampler_kwargs={"num_negs_per_pos": 2 * NEGATIVES},
    )

    def epoch() -> int:
        loop.train(factory, num_epochs=1, batch_size=-(-len(triples) // 8), use_tqdm=False, use_tqdm_batch=False)
        return len(triples)

    return epoch


def _triples(graph: KnowledgeGraph, splits: EdgeSplits) -> np.ndarray:
    """Training edges as (head, relation, tail), int64 [edges, 3]."""
    edges = splits.edges_in("train")
    columns = (graph.head[edges], graph.relation_of[edges], graph.tail[edges])
    return np.stack([np.asarray(each, np.int64) for each in columns], axis=1)
