"""What an epoch of HGT costs on a whole graph: CPU time and peak memory, beside what was estimated before.

    python -m ml_core.families.hgt.bench.epoch                          PrimeKG's counts of nodes and edges, simulated
    python -m ml_core.families.hgt.bench.epoch --graph DIR --splits DIR the artifacts of a finished run

One thread, width 128, two layers, all edges that are not hidden send messages; target share and number of negatives as
the stage `model` has them. Epochs are those of the layers; such of vectors alone cost a fifth. The first warms up; its
validation and checkpoint do not count.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np
import torch

from ml_core.families.hgt.bench.simulated import simulated
from ml_core.families.hgt.data import load_graph, load_splits
from ml_core.families.hgt.memory import estimate
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.samples import TrainingSamples
from ml_core.families.hgt.task import HGTTask
from ml_core.families.hgt.train import prepare_on
from ml_core.usage import peak_memory_gb


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=129_375, help="simulated nodes (%(default)s)")
    parser.add_argument("--graph", type=Path, help="a graph artifact")
    parser.add_argument("--splits", type=Path, help="its splits artifact")
    parser.add_argument("--mode", default="full", choices=["full", "edges", "neighbours"])
    parser.add_argument("--slices", type=int, default=8, help="pieces that an epoch's targets are dealt into")
    parser.add_argument("--batch-size", type=int, default=8, help="pieces judged with one encoding (%(default)s)")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--message-share", type=float, default=1.0, help="share of edges that send (%(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs, of which the first warms up (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("ml_core").setLevel(logging.ERROR)
    started = time.process_time()
    graph, splits = (
        (load_graph(options.graph), load_splits(options.splits)) if options.graph else simulated(options.nodes)
    )
    print(f"{graph.node_count:,} nodes, {graph.edge_count:,} edges, {len(graph.relations)} relations", flush=True)
    print(f"made or loaded in {time.process_time() - started:.1f} CPU-s", flush=True)
    settings = ModelSettings(
        embedding_dim=options.width,
        hidden_dim=options.width,
        mode=options.mode,
        vector_share=0.0,
        message_share=options.message_share,
        slices=options.slices,
        batch_size=options.batch_size,
        threads=1,
        device="cpu",
    )
    started = time.process_time()
    training = prepare_on(graph, splits, settings)
    task, samples = training.task, training.train
    assert isinstance(task, HGTTask)
    model = task.scorer
    assert isinstance(samples, TrainingSamples)
    print(
        f"{len(samples.messages.edge):,} directed training edges prepared in {time.process_time() - started:.1f} CPU-s"
    )
    print(f"estimated memory {estimate(samples, model, settings).total_gb:.1f} GB", flush=True)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-3, fused=True)
    for epoch in range(options.epochs):
        started, targets = time.process_time(), 0
        for first in range(0, options.slices, options.batch_size):
            indices = np.arange(first, min(first + options.batch_size, options.slices))
            batch = samples.fetch(indices, seed=0, epoch=epoch)
            optimizer.zero_grad(set_to_none=True)
            losses = task.losses(batch, task.model)
            torch.stack([losses[term] * task.weights.get(term, 1.0) for term in losses]).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            targets += task.counts(batch)["link"]
        seconds = time.process_time() - started
        print(
            f"epoch {epoch + 1}: {seconds:.2f} CPU-s, {targets:,} targets, peak {peak_memory_gb():.2f} GB", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
