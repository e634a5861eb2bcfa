"""How good the model is with few labels: on the frozen encoder, finetuned with it, and without pretraining."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence.data import GroupSplits, SampleTable
from ml_core.families.sequence.evaluate import predict_samples
from ml_core.families.sequence.model_settings import PredictorSettings
from ml_core.families.sequence.predictor_stage import known_rows, prepare_on
from ml_core.families.sequence.predictor_task import PredictorTask, class_metrics, number_metrics
from ml_core.families.sequence.targets import CLASSIFICATION
from ml_core.training.trainer import fit

JOINT_LONGER = 3  # times as many epochs where the encoder learns too: after as many it is far from done
BASE_SLOWER = 10  # a pretrained encoder that learns as fast as new heads forgets more than it learns
MODES = {
    "frozen": {"encoder": "pretrained", "freeze_base": True},
    "finetuned": {"encoder": "pretrained", "freeze_base": False},
    "scratch": {"encoder": "new", "freeze_base": False},
    "random": {"encoder": "new", "freeze_base": True},
}


def train_with(
    table: SampleTable,
    splits: GroupSplits,
    encoder: Artifact,
    *,
    settings: PredictorSettings,
    mode: str,
    share: float,
    work: Path,
) -> dict[str, float]:
    """Test metrics of a model trained in this mode with this share of the groups' labels; `work` is emptied."""
    if mode not in MODES:
        raise UserError(f"report.label_modes: unknown mode '{mode}', expected {', '.join(MODES)}.")
    changed = settings.model_copy(
        update={**MODES[mode], "label_share": share, "tensorboard": False, "interval_folds": 0}
    )
    if not changed.freeze_base:
        changed = changed.model_copy(update={"max_epochs": JOINT_LONGER * settings.max_epochs})
    if mode == "finetuned":
        changed = changed.model_copy(update={"learning_rates": {"base": settings.learning_rate / BASE_SLOWER}})
    prepared = prepare_on(table, splits, encoder, settings=changed)
    training, task = prepared.training, prepared.training.task
    assert isinstance(task, PredictorTask)
    fit(task, train=training.train, validation=training.validation, settings=changed, directory=work)
    shutil.rmtree(work, ignore_errors=True)
    values = table.column(settings.target, setting="predictor.target")
    rows = known_rows(values, splits.samples_in("test"))
    said = predict_samples(
        task, table, rows, rarefactions=settings.predict_rarefactions, limit=prepared.encoder["token_limit"]
    )
    if task.target.kind == CLASSIFICATION:
        return class_metrics(said.said, task.target.encode(values.iloc[rows]))
    return number_metrics(said.point, np.asarray(values.iloc[rows], float))
