"""HGT's layer, forward and backward, beside PyG's HGTConv with the same weights: CPU time, peak memory, equal outputs.

    python -m ml_core.families.hgt.bench.attention

By default 4,200 nodes of 10 types, 12,500 directed edges of 30 relations, width 256. The sides take turns in one
process on one thread; each side's memory is the growth of the peak in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ml_core.families.hgt.conv import HGTConv
from ml_core.families.hgt.data import KnowledgeGraph, Relation
from ml_core.families.hgt.messages import MessageGraph, Messages, directed_relations
from ml_core.families.hgt.peer import Key, edges_by_relation, peer_of
from ml_core.training.device import reset_peak_memory

TYPES, HEADS = 10, 8


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


def sides(nodes: int, edges: int, relations: int, width: int) -> dict[str, Callable[[], tuple[Tensor, Tensor]]]:
    """Each side's step: output and gradient of the input, both [n, width]."""
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

    def step(forward: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        given = x.clone().requires_grad_()
        out = forward(given)
        (out * weight).sum().backward()  # type: ignore[no-untyped-call]
        assert given.grad is not None
        return out.detach(), given.grad

    def pyg(given: Tensor) -> Tensor:
        found = theirs(dict(zip(graph.node_types, torch.split(given, sizes), strict=True)), by_relation)
        return torch.cat([found.get(name, torch.zeros(0, width)) for name in graph.node_types])

    return {"ml_core.families.hgt": lambda: step(lambda given: ours(given, messages)), "PyG HGTConv": lambda: step(pyg)}


def _grown(name: str, sizes: tuple[int, ...], pipe: Any) -> None:
    """In a process of its own: GB by which one step raises the peak."""
    torch.set_num_threads(1)
    step = sides(*sizes)[name]
    reset_peak_memory(torch.device("cpu"))
    before = peak_gb()
    step()
    pipe.send(peak_gb() - before)


def peak_gb() -> float:
    """Highest resident memory since the last reset (Linux; `getrusage` would have the parent's)."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def memory_gb(name: str, sizes: tuple[int, ...]) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_grown, args=(name, sizes, there))
    process.start()
    grown: float = here.recv()
    process.join()
    return grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median counts (%(default)s)")
    parser.add_argument("--nodes", type=int, default=4200)
    parser.add_argument("--edges", type=int, default=12500)
    parser.add_argument("--relations", type=int, default=30)
    parser.add_argument("--width", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    sizes = (options.nodes, options.edges, options.relations, options.width)
    steps = sides(*sizes)
    outputs = {name: step() for name, step in steps.items()}  # warms up too
    ours, theirs = outputs.values()
    for what, left, right in zip(("output", "gradient"), ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5, msg=what)
    apart = max(float((left - right).abs().max()) for left, right in zip(ours, theirs, strict=True))
    figures: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            started = time.process_time()
            step()
            figures[name].append(time.process_time() - started)
    medians = {name: statistics.median(each) for name, each in figures.items()}
    memory = {name: memory_gb(name, sizes) for name in steps}
    print(
        f"torch {torch.__version__}, one thread, medians of {options.rounds} rounds, "
        f"outputs and gradients within {apart:.1e}"
    )
    print(f"{'side':22} {'CPU-s':>8} {'ratio':>7} {'GB grown':>9}")
    for name in steps:
        ratio = medians[name] / medians["ml_core.families.hgt"]
        print(f"{name:22} {medians[name]:8.3f} {ratio:7.1f} {memory[name]:9.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
