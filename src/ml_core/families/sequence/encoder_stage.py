"""The stage `encoder`: pretrain on distances and hidden nucleotides, without labels and without test samples."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.errors import UserError
from ml_core.families.sequence.data import (
    Distances,
    GroupSplits,
    SampleTable,
    load_distances,
    load_splits,
    load_table,
)
from ml_core.families.sequence.encoder_task import EncoderTask
from ml_core.families.sequence.model import SequenceEncoder
from ml_core.families.sequence.model_settings import EncoderSettings
from ml_core.families.sequence.samples import EncoderSamples, max_bp_of
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.checkpoint import load_weights
from ml_core.training.stage import fit_stage, summary_with_curves
from ml_core.training.task import Training
from ml_core.training.term_curves import training_curves

DESCRIPTION = "encoder.json"
TERMS = {"unifrac": "UniFrac", "nucleotide": "nucleotides"}
METRICS = {"unifrac_r2": "UniFrac R2", "masked_accuracy": "hidden nucleotides named"}
SIZES = (
    "dim",
    "asv_layers",
    "sample_layers",
    "heads",
    "dropout",
    "patch_bp",
    "pooling",
    "embedding_dim",
    "clades",
    "nucleotide_hidden",
)


def train(run: StageRun) -> Summary:
    """Train, and write weights, what is needed to build the network again, logs and curves."""
    settings: EncoderSettings = run.settings
    training = prepare(run)
    task, samples = training.task, training.train
    assert isinstance(task, EncoderTask)
    assert isinstance(samples, EncoderSamples)
    result = fit_stage(run, training)
    described = {"sizes": sizes(samples.table, samples.distances, settings), "token_limit": settings.token_limit}
    described |= {"trained_on": {name: artifact.digest for name, artifact in run.inputs.items()}}
    (run.directory / DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n")
    summary = summary_with_curves(run, result, curves=partial(training_curves, terms=TERMS, metrics=METRICS))
    splits = load_splits(run.inputs["splits"].directory)
    seen = np.isin(samples.rows, splits.samples_in("test"))
    summary.numbers |= {"train.samples": len(samples.rows), "train.test_samples_seen": int(seen.sum())}
    summary.check("test_unseen", not seen.any(), f"{int(seen.sum())} test samples are among {len(samples.rows)}")
    return summary


def prepare(run: StageRun) -> Training:
    """What is trained on what: a new network, blocks of training and extra samples, and those of validation."""
    settings: EncoderSettings = run.settings
    table = load_table(run.inputs["table"].directory)
    distances = load_distances(run.inputs["unifrac"].directory)
    splits = load_splits(run.inputs["splits"].directory)
    rows = rows_to_learn_from(splits, settings)
    samples = EncoderSamples(table, distances, rows, settings=settings, fixed=False)
    if not len(samples):
        raise UserError("encoder: fewer than two samples to learn from, which leaves no distance; keep more samples.")
    judged = splits.samples_in("validation") if settings.learn_from == "train" else np.zeros(0, np.int64)
    validation = EncoderSamples(table, distances, judged, settings=settings, fixed=True)
    torch.manual_seed(settings.seed)
    model = SequenceEncoder(**sizes(table, distances, settings), asv_chunk_size=settings.asv_chunk_size)
    weights = {"unifrac": settings.unifrac_weight, "nucleotide": settings.nucleotide_weight}
    return Training(
        task=EncoderTask(model, weights=weights),
        train=samples,
        validation=validation if len(validation) else None,
        fingerprint={name: artifact.digest for name, artifact in run.inputs.items()},
    )


def rows_to_learn_from(splits: GroupSplits, settings: EncoderSettings) -> np.ndarray:
    """Samples of pretraining, ascending: training, validation where asked for, extra; never a test sample."""
    parts = settings.learn_from.split("+") + (["extra"] if settings.extra_samples else [])
    return np.sort(np.concatenate([splits.samples_in(part) for part in parts]))


def sizes(table: SampleTable, distances: Distances, settings: EncoderSettings) -> dict[str, Any]:
    """The arguments of `SequenceEncoder`, as they are kept beside its weights."""
    return {
        "max_bp": max_bp_of(table),
        "metric": distances.metric,
        **{name: getattr(settings, name) for name in SIZES},
    }


def load_encoder(directory: Path) -> tuple[SequenceEncoder, dict[str, Any]]:
    """The pretrained network of an artifact, in eval mode, and its encoder.json."""
    described: dict[str, Any] = json.loads((directory / DESCRIPTION).read_text())
    model = SequenceEncoder(**described["sizes"])
    model.load_state_dict(load_weights(directory))
    return model.eval(), described
