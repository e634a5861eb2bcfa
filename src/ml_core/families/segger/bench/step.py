"""A training step beside the same network with PyG's GATv2Conv in place of our attention: same weights, same losses.

Ours computes in each layer what the judged transcripts hear from, PyG's all of them; one row has both compute all. Each
side runs as a process is by default, and with freed memory kept (`allocator: keep`). A further row has the seed's
way beside it: PyG's `to_hetero` of as many layers, without edge features, which scores a pair by a dot product and so
does less than ours.
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
from ml_core.families.segger.attention import GATv2
from ml_core.families.segger.family import FAMILY
from ml_core.families.segger.model import Segger
from ml_core.families.segger.receptive import whole
from ml_core.families.segger.samples import Batch, TileSamples
from ml_core.families.segger.settings import ModelSettings
from ml_core.families.segger.task import SeggerTask
from ml_core.families.segger.train import SIZES
from ml_core.running import prepare_training, run_stage
from ml_core.training.device import prepare_process
from ml_core.training.settings import TrainingSettings

CELLS, TRANSCRIPTS = 560, 20_000
QUICK_CELLS, QUICK_TRANSCRIPTS = 60, 1000
OURS, PYG, HETERO = "ml_core", "PyG GATv2Conv", "PyG to_hetero(GATv2Conv)"
AGREEMENT = 1e-4  # of the loss
ALLOCATORS = ("system", "keep")
SEGGER = ModelSettings()


def rows(request: Request) -> list[Row]:
    cells, wanted = (QUICK_CELLS, QUICK_TRANSCRIPTS) if request.quick else (CELLS, TRANSCRIPTS)
    batch, genes = drawn(cells, wanted)
    transcripts, edges = len(batch["token"]), sum(index.shape[1] for index in edges_of(batch).values())
    what = f"step, {transcripts:,} transcripts, {edges:,} edges"
    sides = [
        (f"{name}, {allocator}", build, (batch, genes, allocator))
        for name, build in ((OURS, ours_of), (PYG, pyg_of))
        for allocator in ALLOCATORS
    ]
    sides += [(f"{OURS}, all transcripts, keep", all_of, (batch, genes, "keep"))]
    sides += [(f"{HETERO}, system", hetero_of, (batch, genes))]
    ours, ours_keep, pyg, pyg_keep, everything, hetero = take_turns(
        [Contender(*side) for side in sides], rounds=request.rounds
    )
    losses = [side.answers[0] for side in (ours, ours_keep, pyg, pyg_keep, everything)]
    np.testing.assert_allclose(losses, losses[0], rtol=AGREEMENT)
    return [
        cheaper(f"{what}; allocator keep here, the default process there", ours_keep, pyg, least=4, note="equal loss"),
        cheaper("the same, allocator keep on both sides", ours_keep, pyg_keep, least=1.6),
        cheaper("the same, the default process on both sides", ours, pyg, least=1.6),
        cheaper("the same, both compute all transcripts in every layer", everything, pyg_keep, least=None),
        cheaper("the same, beside the seed's smaller network, the default process", ours, hetero, least=None),
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
    """Forward, the losses, backward."""
    prepare_process(TrainingSettings(threads=1, allocator=allocator))
    return step_of(network(genes), batch)


def all_of(batch: Batch, genes: int, allocator: str) -> Callable[[], float]:
    """As ours, but each layer computes all transcripts, as PyG does."""
    prepare_process(TrainingSettings(threads=1, allocator=allocator))
    model = network(genes)
    model.field = whole
    return step_of(model, batch)


def pyg_of(batch: Batch, genes: int, allocator: str) -> Callable[[], float]:
    """The same, each attention replaced by a convolution with its weights."""
    prepare_process(TrainingSettings(threads=1, allocator=allocator))
    model, edges = network(genes), edges_of(batch)
    model.field = whole
    features = {
        "tx_tx": batch["step"][batch["neighbours"] >= 0],
        "bd_tx": batch["approach"][batch["candidates"] >= 0],
        "tx_bd": None,
    }
    for layer in model.layers:
        for name, index in zip(("tx_bd", "tx_tx", "bd_tx"), edges.values(), strict=True):
            setattr(layer, name, Convolution(getattr(layer, name), index, features[name]))
    return step_of(model, batch)


def network(genes: int) -> Segger:
    torch.manual_seed(0)
    return Segger(genes, **{name: getattr(SEGGER, name) for name in SIZES}).train()


def step_of(model: Segger, batch: Batch) -> Callable[[], float]:
    task = SeggerTask(model, weights={"ring": SEGGER.ring_weight, "inner": SEGGER.inner_weight})

    def step() -> float:
        model.zero_grad(set_to_none=True)
        losses = task.losses(batch, model)
        total = torch.stack([loss for term, loss in losses.items() if task.counts(batch)[term]]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return float(total)

    return step


class Convolution(nn.Module):
    """PyG's GATv2Conv with the weights of one of our relations, on edges that are known beforehand.

    **Shapes**: index [2, edges]; features [edges, channels] or None.
    """

    def __init__(self, ours: GATv2, index: Tensor, features: Tensor | None) -> None:
        from torch_geometric.nn import GATv2Conv

        super().__init__()
        heads, width = ours.attention.shape
        sizes, channels = (ours.source.in_features, ours.target.in_features), None
        if features is not None:
            channels = features.shape[1]
        self.conv = GATv2Conv(sizes, width, heads=heads, add_self_loops=False, edge_dim=channels)
        self.conv.lin_l.load_state_dict(ours.source.state_dict())
        self.conv.lin_r.load_state_dict(ours.target.state_dict())
        self.conv.att.data.copy_(ours.attention[None])
        if ours.edge is not None:
            self.conv.lin_edge.load_state_dict(ours.edge.state_dict())
        self.index, self.features = index, features

    def forward(self, source: Tensor, target: Tensor, *_: Tensor) -> Tensor:
        return self.conv((source, target), self.index, self.features)  # type: ignore[no-any-return]


def edges_of(batch: Batch) -> dict[tuple[str, str, str], Tensor]:
    """PyG's edge_index of each relation, [2, edges]."""
    found = {("tx", "belongs", "bd"): batch["belongs"]}
    for relation, index in ((("tx", "neighbours", "tx"), "neighbours"), (("bd", "contains", "tx"), "candidates")):
        target, slot = (batch[index] >= 0).nonzero(as_tuple=True)
        found[relation] = torch.stack([batch[index][target, slot], target])
    return found


def hetero_of(batch: Batch, genes: int) -> Callable[[], float]:
    """As many layers between two linear maps; of each pair a dot product; backward."""
    from torch_geometric.nn import GATv2Conv, to_hetero

    prepare_process(TrainingSettings(threads=1))
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
