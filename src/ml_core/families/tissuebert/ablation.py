"""The model trained once more without the DNA of the regions: what the letters are worth beside the states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ml_core.families.tissuebert.asked import Asked, Known, better_head, heads_of
from ml_core.families.tissuebert.calibration import alike
from ml_core.families.tissuebert.inference import score_with
from ml_core.families.tissuebert.levels import by_sample
from ml_core.families.tissuebert.model_files import HEADS, TrainedModel
from ml_core.families.tissuebert.model_settings import ModelSettings
from ml_core.families.tissuebert.scores import accuracy
from ml_core.families.tissuebert.train import prepare_on
from ml_core.metrics.calibration import cross_entropy
from ml_core.summary import Number
from ml_core.training.trainer import fit

ALONE: dict[str, Any] = {"nproc": 1, "init_from": None, "frozen": [], "thaw_epochs": {}, "parity": False}


def without_dna(known: Known, settings: ModelSettings, *, work: Path) -> list[dict[str, Number]]:
    """Two rows, with and without DNA: accuracy and cross entropy of test reads (tissues alike), accuracy of samples.

    Everything else is as the model's `settings` say; `work` receives checkpoints, so that a stopped run goes on.
    """
    blind = settings.model_copy(update={**ALONE, "use_dna": False})
    prepared = prepare_on(known.regions, known.splits, settings=blind)
    training = prepared.training
    fit(training.task, train=training.train, validation=training.validation, settings=blind, directory=work)
    model = training.task.model.to("cpu").eval()
    described = {**known.trained.described, "use_dna": False}
    trained = TrainedModel(model, prepared.tables.fitted, described)  # type: ignore[arg-type]
    heads = {
        split: heads_of(score_with(trained, known.regions, asked.rows), trained.heads)
        for split, asked in (("validation", known.validation), ("test", known.test))
    }
    head = better_head(heads["validation"], known.validation)
    return [
        _row("with", known.test, known.test.heads, known.head),
        _row("without", known.test, heads["test"], head),
    ]


def _row(dna: str, asked: Asked, heads: dict[str, np.ndarray], head: str) -> dict[str, Number]:
    even = alike(asked.true, asked.weight)
    summed, true = by_sample(heads[HEADS[0]], asked)
    return {
        "DNA": dna,
        "read accuracy": accuracy(heads[head], asked.true, weight=even),
        "cross entropy of a read": cross_entropy(heads[head], asked.true, weight=even),
        "sample accuracy": accuracy(summed, true),
    }
