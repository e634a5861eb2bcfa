"""What the model is held against: factorisation, an untrained network, and one whose nodes all begin alike."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, load_graph, load_splits
from ml_core.families.hgt.embedding_arrays import Embeddings, load_arrays, save_arrays
from ml_core.families.hgt.inference import encode
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.leaning import fit_leaning
from ml_core.families.hgt.messages import MessageGraph
from ml_core.families.hgt.model import HGT, START
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.samples import TrainingSamples
from ml_core.families.hgt.task import HGTTask
from ml_core.families.hgt.train import prepare_on
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.task import Training
from ml_core.training.trainer import fit
from ml_core.usage import cpu_seconds

CONTROLS = ("distmult", "untrained", "constant")
PARTS = ("embedding", "decoder")  # of DistMult, by the names that they have in the model
CONSTANT_RATE = 0.1  # of the model's learning rate, what is left of it when its layers join in
NODES_PER_CHUNK = 8192


class DistMult(nn.Module):
    """One learned vector per node and per relation (Yang et al. 2015), nothing heard from neighbours."""

    def __init__(self, nodes: int, relations: int, *, channels: int, dropout: float) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(channels)
        self.embedding = nn.Embedding(nodes, channels)
        nn.init.normal_(self.embedding.weight, std=START)
        self.decoder = nn.Parameter(torch.ones(relations, channels))
        self.dropout = nn.Dropout(dropout)

    def forward(self, graph: MessageGraph | None) -> Tensor:
        z: Tensor = self.dropout(self.embedding.weight)
        return z


def build(run: StageRun) -> Summary:
    """The controls of a model with the settings of the one given, on its graph and splits: a folder for each."""
    graph, splits = load_graph(run.inputs["graph"].directory), load_splits(run.inputs["splits"].directory)
    values = run.inputs["model"].manifest["settings"]
    settings = ModelSettings.parse(values, where="the settings of stage model")
    started = cpu_seconds()
    found = train_controls(graph, splits, settings, constant_share=run.settings.constant_share, work=run.work)
    for name, control in found.items():
        save_arrays(run.directory / name, control)
    finite = all(np.isfinite(control.embeddings).all() for control in found.values())
    summary = Summary(
        headline=f"{', '.join(found)}: trained where they are, on the model's split.",
        numbers={"controls.cpu_seconds": cpu_seconds() - started},
    )
    summary.check("finite_controls", finite, f"embeddings of the controls {'are' if finite else 'are not all'} finite.")
    return summary


def load_controls(directory: Path) -> dict[str, Embeddings]:
    """What `build` wrote, by name."""
    return {name: load_arrays(directory / name) for name in CONTROLS}


def train_controls(
    graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings, *, constant_share: float, work: Path
) -> dict[str, Embeddings]:
    """DistMult, untrained and constant, trained where they are on the model's loss, negatives, split and epochs.

    `work` receives their checkpoints: a run that was stopped goes on there.
    """
    quiet: dict[str, Any] = {
        "nproc": 1,
        "init_from": None,
        "frozen": [],
        "thaw_epochs": {},
        "parity": False,
    }
    settings = settings.model_copy(update=quiet)
    return {
        "distmult": distmult(graph, splits, settings, work=work / "distmult"),
        "untrained": untrained(graph, splits, settings),
        "constant": constant(graph, splits, settings, share=constant_share, work=work / "constant"),
    }


def distmult(graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings, *, work: Path) -> Embeddings:
    """Factorisation trained as the model's vectors are, of all relations and for all epochs, the best by validation."""
    update: dict[str, Any] = {
        "vector_share": 1.0,
        "vector_edges": 0,
        "learning_rates": {name: settings.learning_rates[name] for name in PARTS if name in settings.learning_rates},
        "contrastive_weight": 0.0,
        "gradient_checkpointing": False,
    }
    settings = settings.model_copy(update=update)
    training = prepare_on(graph, splits, settings)
    torch.manual_seed(settings.seed)
    model = DistMult(
        graph.node_count, len(graph.relations), channels=settings.embedding_dim, dropout=settings.vector_dropout
    )
    if settings.decoder == "dot":
        model.decoder.requires_grad_(False)
    _train(training, model, settings, work=work)
    arrays = model.embedding.weight.detach().cpu().numpy(), model.decoder.detach().cpu().numpy()
    return Embeddings(*arrays, model.scale, fit_leaning(graph, splits, EmbeddingJudge(graph, *arrays, model.scale)))


def untrained(graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings) -> Embeddings:
    """The model as it is before its first step."""
    training = prepare_on(graph, splits, settings)
    return _encoded(training, training.task.model)


def constant(
    graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings, *, share: float, work: Path
) -> Embeddings:
    """The same network, but all nodes of a type begin with one vector, which is how embeddings collapse."""
    epochs = max(1, math.ceil(share * settings.max_epochs))
    rate = CONSTANT_RATE * settings.learning_rate
    update = {"max_epochs": epochs, "features": None, "vector_share": 0.0, "learning_rate": rate, "learning_rates": {}}
    settings = settings.model_copy(update=update)
    training = prepare_on(graph, splits, settings)
    model = training.task.model
    assert isinstance(model, HGT)
    vectors = model.embedding.vector.weight
    with torch.no_grad():
        first = torch.from_numpy(graph.type_offsets[:-1].clip(max=graph.node_count - 1))
        vectors.copy_(vectors[first][torch.from_numpy(graph.node_type.astype(np.int64))])
    vectors.requires_grad_(False)
    _train(training, model, settings, work=work)
    return _encoded(training, model)


def _train(training: Training, model: nn.Module, settings: ModelSettings, *, work: Path) -> None:
    """Leaves the best weights in `model`."""
    task = copy.copy(training.task)
    assert isinstance(task, HGTTask)
    task.model = model
    if isinstance(model, DistMult):
        task.contrasts = False
    fit(task, train=training.train, validation=training.validation, settings=settings, directory=work)
    model.to("cpu").eval()


def _encoded(training: Training, model: nn.Module) -> Embeddings:
    samples = training.train
    assert isinstance(samples, TrainingSamples)
    assert isinstance(model, HGT)
    z = encode(model, samples.messages, nodes_per_chunk=NODES_PER_CHUNK)
    return Embeddings(z.numpy(), model.decoder.detach().cpu().numpy(), model.scale)
