"""A training step beside PyG's: `to_hetero` of layers of GATv2Conv with as many layers, channels and heads.

Both sides read the same graph: transcripts with their neighbours, candidates, and the nuclei that transcripts lie in.
PyG's has no edge features and scores a pair by a dot product, as the seed does: ours does more. Each side runs as a
process is by default, and with freed memory kept (`allocator: keep`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.artifacts import Artifact, Store
from ml_core.bench.case import Request, Row
from ml_core.bench.turns import Contender, cheaper, take_turns
from ml_core.families.segger.family import FAMILY
from ml_core.families.segger.model import Segger
from ml_core.families.segger.samples import Batch, TileSamples
from ml_core.families.segger.settings import ModelSettings
from ml_core.families.segger.task import SeggerTask
from ml_core.families.segger.train import SIZES
from ml_core.running import prepare_training, run_stage
from ml_core.training.device import prepare_process
from ml_core.training.settings import TrainingSettings

CELLS, TRANSCRIPTS = 560, 20_000
QUICK_CELLS, QUICK_TRANSCRIPTS = 60, 1000
OURS, PYG = "ml_core", "PyG to_hetero(GATv2Conv)"
ALLOCATORS = ("system", "keep")
SEGGER = ModelSettings()


def rows(request: Request) -> list[Row]:
    cells, wanted = (QUICK_CELLS, QUICK_TRANSCRIPTS) if request.quick else (CELLS, TRANSCRIPTS)
    batch, genes = drawn(cells, wanted)
    transcripts, edges = len(batch["token"]), sum(index.shape[1] for index in edges_of(batch).values())
    what = f"step, {transcripts:,} transcripts, {edges:,} edges"
    sides = [(build, name, allocator) for build, name in ((ours_of, OURS), (pyg_of, PYG)) for allocator in ALLOCATORS]
    ours, ours_keep, pyg, pyg_keep = take_turns(
        [Contender(f"{name}, {allocator}", build, (batch, genes, allocator)) for build, name, allocator in sides],
        rounds=request.rounds,
    )
    return [
        cheaper(f"{what}; allocator keep here, the default process there", ours_keep, pyg, least=4),
        cheaper("the same, allocator keep on both sides", ours_keep, pyg_keep, least=1.6),
        cheaper("the same, the default process on both sides", ours, pyg, least=1.6),
    ]


def drawn(cells: int, transcripts: int) -> tuple[Batch, int]:
    """A batch of training tiles of a simulated sample, about so many transcripts, and the number of genes."""
    with tempfile.TemporaryDirectory() as folder:
        store, made = Store(Path(folder)), dict[str, Artifact]()
        given = {"raw": {"cells": cells, "preset": "hard"}, "tiles": {"transcripts_per_tile": transcripts // 8}}
        for name in ("raw", "transcripts", "graph", "tiles", "splits"):
            stage = FAMILY[name]
            settings = stage.settings(**given.get(name, {}))
            made[name] = run_stage(FAMILY, stage, settings=settings, store=store, inputs=made).artifact
        training = prepare_training(
            FAMILY, FAMILY["model"], settings=SEGGER, store=store, directory=Path(folder), inputs=made
        )
        samples = training.train
        assert isinstance(samples, TileSamples)
        sizes = np.cumsum([len(samples.tile(index, seed=0, epoch=0)["token"]) for index in range(len(samples))])
        count = int(np.searchsorted(sizes, transcripts)) + 1
        return samples.fetch(np.arange(min(count, len(samples))), seed=0, epoch=0), samples.mask


def ours_of(batch: Batch, genes: int, allocator: str) -> Callable[[], float]:
    """Forward, the three losses, backward."""
    prepare_process(TrainingSettings(threads=1, allocator=allocator))
    torch.manual_seed(0)
    model = Segger(genes, **{name: getattr(SEGGER, name) for name in SIZES}).train()
    task = SeggerTask(model, weights={"ring": SEGGER.ring_weight, "inner": SEGGER.inner_weight})

    def step() -> float:
        model.zero_grad(set_to_none=True)
        losses = task.losses(batch, model)
        total = torch.stack([loss for term, loss in losses.items() if task.counts(batch)[term]]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return float(total)

    return step


def edges_of(batch: Batch) -> dict[tuple[str, str, str], Tensor]:
    """PyG's edge_index of each relation, [2, edges]."""
    found = {("tx", "belongs", "bd"): batch["belongs"]}
    for relation, index in ((("tx", "neighbours", "tx"), "neighbours"), (("bd", "contains", "tx"), "candidates")):
        target, slot = (batch[index] >= 0).nonzero(as_tuple=True)
        found[relation] = torch.stack([batch[index][target, slot], target])
    return found


def pyg_of(batch: Batch, genes: int, allocator: str) -> Callable[[], float]:
    """As many layers between two linear maps; of each pair a dot product; backward."""
    from torch_geometric.nn import GATv2Conv, to_hetero

    prepare_process(TrainingSettings(threads=1, allocator=allocator))
    torch.manual_seed(0)
    width, heads = SEGGER.hidden_channels, SEGGER.heads

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            count = SEGGER.num_mid_layers
            self.convs = nn.ModuleList(
                GATv2Conv((width, width), width // heads, heads=heads, add_self_loops=False) for _ in range(count)
            )
            self.skips = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
            self.out = nn.Linear(width, SEGGER.out_channels)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            for conv, skip in zip(self.convs, self.skips, strict=True):
                x = F.elu(conv(x, edge_index) + skip(x))
            return self.out(x)  # type: ignore[no-any-return]

    edges = edges_of(batch)
    layers = to_hetero(Layers(), (["tx", "bd"], list(edges)))
    token = nn.Embedding(genes + 1, SEGGER.init_emb)
    tx_in, bd_in = nn.Linear(SEGGER.init_emb, width), nn.Linear(batch["nucleus_shape"].shape[1], width)
    parts = nn.ModuleList([layers, token, tx_in, bd_in]).train()
    pairs, right = batch["pair_nucleus"], batch["own"].clamp_min(0)

    def step() -> float:
        parts.zero_grad(set_to_none=True)
        x = {"tx": F.elu(tx_in(token(batch["token"]))), "bd": F.elu(bd_in(batch["nucleus_shape"]))}
        z = layers(x, edges)
        score = (z["tx"][batch["judged"]][:, None] * z["bd"][pairs.clamp_min(0)]).sum(-1)  # [r, p]
        loss = F.binary_cross_entropy_with_logits(score, F.one_hot(right, score.shape[1]).float())
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss)

    return step
