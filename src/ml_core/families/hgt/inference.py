"""Final embeddings layer by layer, some nodes at a time: the memory does not grow with the graph's edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from ml_core.families.hgt.messages import Messages
from ml_core.families.hgt.model import HGT

Progress = Callable[[Iterable[int]], Iterable[int]]


@torch.no_grad()
def encode(model: HGT, messages: Messages, *, nodes_per_chunk: int, progress: Progress = iter) -> Tensor:
    """What `model(messages.whole())` gives in eval mode, float32 [n, hidden], on the CPU.

    A chunk's layer sees the chunk, and the nodes that send to it. Held throughout are two states of all nodes, beside
    their vectors.
    """
    was_training = model.training
    model.eval()
    n = messages.graph.node_count
    device = model.decoder.device
    firsts = range(0, n, nodes_per_chunk)

    def offsets(nodes: np.ndarray) -> list[int]:
        return [int(at) for at in np.searchsorted(nodes, messages.type_offsets)]

    state = torch.empty(n, model.hidden_dim)
    for first in firsts:
        nodes = np.arange(first, min(first + nodes_per_chunk, n))
        own = model.embedding(torch.from_numpy(nodes).to(device))
        state[nodes] = model.start(own, offsets(nodes)).cpu()
    for layer in model.layers:
        new = torch.empty_like(state)
        for first in progress(firsts):
            chunk = np.arange(first, min(first + nodes_per_chunk, n))
            edges = messages.edges_into(chunk)
            nodes = np.union1d(chunk, messages.row_node[messages.source_row[edges]])
            graph = messages.part(nodes, edges).to(device)
            at = np.searchsorted(nodes, chunk)
            new[first : first + len(chunk)] = layer(state[nodes].to(device), graph)[at].cpu()
        state = new
    model.train(was_training)
    return model.finish(model.embedding(None).cpu(), state)
