"""A training epoch of the whole graph beside the same epoch with attention by gathers and scatters.

Both sides draw the same targets, with the same weights, and must come to the same loss. The other side's attention is
what the family computes on other devices than a CPU (`attend_by_scatter`): a vector is gathered for each edge, as PyG
does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor

from ml_core.bench.case import Request, Row
from ml_core.bench.turns import Contender, cheaper, lighter, take_turns
from ml_core.families.hgt import conv
from ml_core.families.hgt.attention import Structure, attend_by_scatter
from ml_core.families.hgt.bench.simulated import model_settings, simulated
from ml_core.families.hgt.train import prepare_on

NODES, QUICK_NODES, WIDTH = 10_000, 1200, 128
OURS, SCATTER = "ml_core", "gather and scatter"
AGREEMENT = 1e-4


def rows(request: Request) -> list[Row]:
    nodes = QUICK_NODES if request.quick else NODES
    ours, scatter = take_turns(
        [Contender(name, epoch_of, (name, nodes)) for name in (OURS, SCATTER)], rounds=request.rounds
    )
    (loss, edges), (other, _) = ours.answers[0], scatter.answers[0]
    assert math.isclose(loss, other, rel_tol=AGREEMENT), f"losses {loss} and {other} differ"
    what = f"epoch with layers, simulated, {nodes:,} nodes, {edges:,} directed edges, width {WIDTH}"
    found = [cheaper(what, ours, scatter, least=4, note=f"equal loss, {loss:.4g}")]
    memory = lighter("the same, memory", ours, scatter, least=4)
    return [*found, memory] if memory else found


def epoch_of(name: str, nodes: int) -> Callable[[], tuple[float, int]]:
    """An epoch from the same weights each time: its loss, and the edges that sent messages."""
    graph, splits = simulated(nodes)
    settings = model_settings(WIDTH, dropout=0.0, vector_dropout=0.0, vector_share=0.0, message_share=1.0)
    training = prepare_on(graph, splits, settings)
    task, samples = training.task, training.train
    if name == SCATTER:
        conv.attend = scatter_of_all

    def epoch() -> tuple[float, int]:
        (piece,) = batch = samples.fetch(np.arange(len(samples)), seed=0, epoch=0)
        task.model.zero_grad(set_to_none=True)
        loss = task.losses(batch, task.model)["link"]
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss), piece.graph.structure.edge_count

    return epoch


def scatter_of_all(query: Tensor, key: Tensor, value: Tensor, structure: Structure) -> Tensor:
    return attend_by_scatter(query * (1 / math.sqrt(query.size(-1))), key, value, structure)
