"""The stage `model`: train on the training edges, keep the best by validation."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any

import numpy as np
import torch

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.hgt.curves import training_curves
from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, load_graph, load_splits
from ml_core.families.hgt.features import read_features
from ml_core.families.hgt.memory import advice, estimate
from ml_core.families.hgt.messages import directed_relations
from ml_core.families.hgt.model import HGT
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.parity import compare_devices
from ml_core.families.hgt.samples import TrainingSamples, ValidationSamples
from ml_core.families.hgt.task import HGTTask
from ml_core.running import StageRun
from ml_core.summary import Number, Summary
from ml_core.training.checkpoint import load_weights
from ml_core.training.device import available_memory_gb, choose_device
from ml_core.training.stage import fit_stage, summary_with_curves
from ml_core.training.task import Training

log = logging.getLogger(__name__)

SIZES = (
    "embedding_dim",
    "hidden_dim",
    "num_layers",
    "num_heads",
    "dropout",
    "vector_dropout",
    "decoder",
    "node_features",
)


def train(run: StageRun) -> Summary:
    """Train, and write weights, what is needed to build the model again, logs and curves."""
    settings: ModelSettings = run.settings
    training = prepare(run)
    task, samples = training.task, training.train
    assert isinstance(task, HGTTask)
    assert isinstance(samples, TrainingSamples)
    model = task.scorer
    assert isinstance(model, HGT)
    device, _ = choose_device(settings.device)
    memory = estimate(samples, model, settings)
    available = available_memory_gb(device)
    log.info("this run will need about %.1f of %.1f GB on %s", memory.total_gb, available, device)
    if memory.total_gb > available:
        log.warning("%s", advice(memory, available_gb=available, settings=settings))
    parity = compare_devices(task, samples, device=device) if settings.parity else {}
    result = fit_stage(run, training)
    description = {
        "sizes": {name: getattr(settings, name) for name in SIZES},
        "node_types": samples.graph.node_types,
        "type_offsets": samples.messages.type_offsets,
        "relations": [relation.key for relation in samples.graph.relations],
        "directed_relations": len(directed_relations(samples.graph.relations)),
        "feature_channels": 0 if model.embedding.features is None else model.embedding.features.size(1),
        "trained_on": run.inputs["graph"].digest,
    }
    (run.directory / "model.json").write_text(json.dumps(description, indent=1) + "\n")
    summary = summary_with_curves(run, result, curves=partial(training_curves, vector_epochs=settings.vector_epochs))
    summary.numbers |= {**parity, "train.memory_estimate_gb": memory.total_gb}
    memory_rows: list[dict[str, Number]] = [{"part": part, "GB": round(gb, 3)} for part, gb in memory.parts.items()]
    memory_rows.append({"part": "estimated before the start, in all", "GB": round(memory.total_gb, 3)})
    memory_rows.append({"part": "used at most", "GB": round(result.peak_memory_gb, 3)})
    summary.tables["Memory"] = memory_rows
    hidden = hidden_targets(samples, seed=settings.seed)
    summary.check("targets_hidden", hidden == 0, f"{hidden} target edges of an epoch are among its messages.")
    return summary


def prepare(run: StageRun) -> Training:
    """What is trained on what: a new model, the training edges, and validation edges on the training messages."""
    settings: ModelSettings = run.settings
    graph, splits = load_graph(run.inputs["graph"].directory), load_splits(run.inputs["splits"].directory)
    return prepare_on(
        graph, splits, settings, fingerprint={name: artifact.digest for name, artifact in run.inputs.items()}
    )


def prepare_on(
    graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings, *, fingerprint: dict[str, Any] | None = None
) -> Training:
    """As `prepare`, of a graph and its splits."""
    _refuse_empty(graph, splits, settings)
    path = settings.features_path()
    features = None if path is None else read_features(path, graph)
    samples = TrainingSamples(graph, splits, settings)
    validation = ValidationSamples(graph, splits, settings, messages=samples.messages)
    torch.manual_seed(settings.seed)
    model = HGT(
        type_offsets=samples.messages.type_offsets,
        relations=len(graph.relations),
        directed_relations=len(directed_relations(graph.relations)),
        features=features,
        by_vectors=samples.by_vectors.tolist(),
        **{name: getattr(settings, name) for name in SIZES},
    )
    task = HGTTask(
        model,
        relations=graph.relations,
        node_types=graph.node_types,
        type_offsets=samples.messages.type_offsets,
        contrastive_weight=settings.contrastive_weight if len(samples.paired) else 0.0,
        temperature=settings.temperature,
        chunk=settings.chunk_edges,
    )
    return Training(task, samples, validation if len(validation) else None, fingerprint or {})


def load_model(artifact: Artifact) -> tuple[HGT, dict[str, Any]]:
    """The trained network in eval mode, and its model.json."""
    description = json.loads(artifact.path("model.json").read_text())
    offsets, channels = description["type_offsets"], description["feature_channels"]
    model = HGT(
        type_offsets=offsets,
        relations=len(description["relations"]),
        directed_relations=description["directed_relations"],
        features=torch.zeros(offsets[-1], channels) if channels else None,
        **description["sizes"],
    )
    model.load_state_dict(load_weights(artifact.directory))
    return model.eval(), description


def hidden_targets(samples: TrainingSamples, *, seed: int) -> int:
    """How many targets of the first epoch with messages send some all the same, either way; 0 unless there is a bug."""
    pieces = samples.fetch(np.arange(len(samples)), seed=seed, epoch=samples.settings.vector_epochs)
    seen, n = 0, samples.graph.node_count
    directed = directed_relations(samples.graph.relations)
    numbers = {pair: number for number, pair in enumerate(directed)}
    graph, sent = None, np.zeros(0, np.int64)
    for each in pieces:
        assert each.graph is not None
        if each.graph is not graph:  # one for all pieces, but where each has a neighbourhood of its own
            graph = each.graph
            row = np.repeat(np.arange(len(directed)), np.diff(graph.row_offsets))
            source_row = graph.structure.source.numpy()
            sent = (row[source_row] * n + graph.row_node.numpy()[source_row]) * n + graph.structure.target.numpy()
            sent.sort()
        for links in each.links:
            question = links.tails
            head, tail = question.asking[question.row].numpy(), question.answer.numpy()
            back = numbers.get((links.relation, True), links.relation)
            for relation, source, target in ((links.relation, head, tail), (back, tail, head)):
                asked = np.sort((relation * n + source) * n + target)
                first, after = (np.searchsorted(sent, asked, side=side) for side in ("left", "right"))
                seen += int((after > first).sum())
    return seen


def _refuse_empty(graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings) -> None:
    if not (np.asarray(splits.part) == 0).any():
        raise UserError("model: no edge is in the training split; raise splits.train or give a larger graph.")
    names = [relation.name for relation in graph.relations]
    for name in settings.relation_weights:
        if name not in names:
            raise UserError(f"model.relation_weights: the graph has no relation '{name}'; it has {', '.join(names)}.")
