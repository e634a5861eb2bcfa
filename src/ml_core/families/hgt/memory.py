"""How much memory a run will need, from its terms, before it starts; and what to change where that is too much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.hgt.model import HGT
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.samples import TrainingSamples

FLOAT, INT = 4, 4  # bytes
PROCESS_GB = 0.55  # Python with torch, pandas and scikit-learn, measured
STATES = 14  # [n, hidden] arrays that a layer keeps or needs at its peak: norms, q, k, v, gelu and their gradients
ROWS = 4  # [m, hidden] arrays of a layer: keys, values and their gradients
INDICES = 5  # int32 per directed edge of a message graph, twice: the graph of all edges and the epoch's


@dataclass(frozen=True)
class Estimate:
    """Terms in GB (1e9 bytes)."""

    parts: dict[str, float]

    @property
    def total_gb(self) -> float:
        return sum(self.parts.values())


def estimate(samples: TrainingSamples, model: HGT, settings: ModelSettings) -> Estimate:
    """Of training with these settings; dimensions are taken as they are."""
    messages = samples.messages
    nodes, edges, rows = messages.graph.node_count, len(messages.edge), len(messages.row_node)
    if settings.mode == "neighbours":
        nodes, edges, rows = _neighbourhood(samples, settings, nodes=nodes, edges=edges, rows=rows)
    kept = 1 if settings.gradient_checkpointing else settings.num_layers
    hidden, width = settings.hidden_dim, model.width
    moved = sum(each.numel() for each in model.parameters() if each.requires_grad)
    fixed = sum(each.numel() for each in model.parameters()) + sum(each.numel() for each in model.buffers()) - moved
    per_layer = STATES * nodes * hidden + ROWS * rows * hidden + 3 * edges * settings.num_heads
    drawn = samples.epoch(seed=settings.seed, epoch=settings.vector_epochs)
    targets = sum(len(each) for each in drawn.targets)
    judged = targets * min(1.0, settings.batch_size / len(samples))
    parts = {
        "process": PROCESS_GB * 1e9,
        "weights, gradients and AdamW's two moments": FLOAT * (4 * moved + fixed),
        "indices of edges": INT * 2 * INDICES * len(messages.edge),
        "states, keys and values of layers": FLOAT * per_layer * kept,
        "loss": FLOAT * (3 * settings.chunk_edges * (settings.negatives + 3 * width) + 3 * nodes * width)
        + 8 * 10 * judged,
    }
    return Estimate({name: bytes_ / 1e9 for name, bytes_ in parts.items()})


def advice(memory: Estimate, *, available_gb: float, settings: ModelSettings) -> str:
    """One sentence that names this run's settings, the smallest change first; dimensions are not among them."""
    ways = []
    if not settings.gradient_checkpointing:
        ways.append("gradient_checkpointing: true")
    if settings.mode == "full" and settings.message_share == 1:
        ways.append("message_share: 0.5")
    if settings.mode != "neighbours":
        numbers = ", ".join(map(str, [10, 5, *[3] * settings.num_layers][: settings.num_layers]))
        ways.append(f"mode: neighbours with neighbours: [{numbers}], slices: 64 and batch_size: 1")
    else:
        ways.append(f"slices: {2 * settings.slices}, or smaller numbers of neighbours")
    return (
        f"This run will need about {memory.total_gb:.1f} GB and the device has {available_gb:.1f}: try "
        f"{', then '.join(ways)}; dimensions can stay as they are."
    )


def _neighbourhood(
    samples: TrainingSamples, settings: ModelSettings, *, nodes: int, edges: int, rows: int
) -> tuple[int, int, int]:
    """Nodes, edges and rows of the first slice of the first epoch, as drawn."""
    (piece,) = samples.fetch(np.zeros(1, np.int64), seed=settings.seed, epoch=settings.vector_epochs)
    graph = piece.graph
    assert graph is not None
    pieces = min(settings.batch_size, len(samples))
    found = (graph.node_count, graph.structure.edge_count, len(graph.row_node))
    largest = [min(pieces * each, pieces * limit) for each, limit in zip(found, (nodes, edges, rows), strict=True)]
    return largest[0], largest[1], largest[2]
