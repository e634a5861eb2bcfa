"""The stage `predictor`: learn a column of the metadata on top of the pretrained encoder."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence.covariates import categories_of, encode_covariates
from ml_core.families.sequence.data import GroupSplits, SampleTable, load_splits, load_table
from ml_core.families.sequence.encoder_stage import load_encoder
from ml_core.families.sequence.intervals import cross_predict, fit_interval
from ml_core.families.sequence.model import SequenceEncoder, embed_asvs
from ml_core.families.sequence.model_settings import PredictorSettings
from ml_core.families.sequence.predictor import SequencePredictor
from ml_core.families.sequence.predictor_samples import PredictorSamples, cached_embeddings, rarefactions_of
from ml_core.families.sequence.predictor_task import Interval, PredictorTask, number_metrics
from ml_core.families.sequence.targets import CLASSIFICATION, Target, fit_target
from ml_core.families.sequence.tokens import tokenize
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.checkpoint import load_weights
from ml_core.training.stage import Curves, fit_stage, summary_with_curves
from ml_core.training.task import Training
from ml_core.training.term_curves import training_curves

log = logging.getLogger(__name__)
DESCRIPTION = "predictor.json"
HEAD = ("sharpness", "members", "hidden", "head_layers", "head_dropout", "input_dropout")


@dataclass(frozen=True)
class Prepared:
    """A training, and what was fitted on its samples before it began."""

    training: Training
    target: Target
    categories: dict[str, list[str]]
    encoder: dict[str, Any]


def train(run: StageRun) -> Summary:
    """Train, and write weights, everything that predicting needs, logs and curves."""
    settings: PredictorSettings = run.settings
    prepared = prepare_all(run)
    training, task = prepared.training, prepared.training.task
    assert isinstance(task, PredictorTask)
    table, splits = load_table(run.inputs["table"].directory), load_splits(run.inputs["splits"].directory)
    fitted = _interval(run, prepared, table, splits)
    result = fit_stage(run, training)
    description = {
        "encoder": prepared.encoder,
        "head": {
            "landmarks": task.model.neighbourhoods.project.shape[0],
            "channels": task.model.neighbourhoods.project.shape[1],
            **{name: getattr(settings, name) for name in HEAD},
        },
        "target": prepared.target.to_json(),
        "loss": settings.loss,
        "quantiles": settings.quantiles,
        "count_weight": settings.count_weight,
        "interval": None if fitted is None else asdict(fitted.interval),
        "categories": prepared.categories,
        "depth": table.depth,
        "seed": table.seed,
        "rarefactions": settings.predict_rarefactions,
        "splits": run.inputs["splits"].digest,
    }
    (run.directory / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
    summary = summary_with_curves(run, result, curves=_curves(prepared.target))
    labelled = training.train
    assert isinstance(labelled, PredictorSamples)
    if fitted is not None:
        summary.numbers |= {f"train.cross_fitted_{name}": value for name, value in fitted.metrics.items()}
    test = splits.samples_in("test")
    seen = int(np.isin(labelled.rows, test).sum())
    summary.numbers["train.labelled_samples"] = len(labelled.rows)
    summary.check("test_unseen", seen == 0, f"{seen} test samples are among {len(labelled.rows)}")
    return summary


@dataclass(frozen=True)
class Fitted:
    """The interval, and how good the heads were from whose errors it is taken."""

    interval: Interval
    metrics: dict[str, float]


def _interval(run: StageRun, prepared: Prepared, table: SampleTable, splits: GroupSplits) -> Fitted | None:
    """None for classes, where no interval is asked for, and where all labelled samples are of one group."""
    settings, samples = run.settings, prepared.training.train
    assert isinstance(settings, PredictorSettings)
    assert isinstance(samples, PredictorSamples)
    group = splits.group[samples.rows]
    if prepared.target.kind == CLASSIFICATION or settings.interval_folds < 2 or len(set(group)) < 2:
        return None
    said = cross_predict(
        prepared.training,
        table,
        group,
        settings=settings,
        limit=prepared.encoder["token_limit"],
        work=run.work / "interval",
    )
    true = np.asarray(table.column(settings.target, setting="predictor.target").iloc[samples.rows], float)
    interval = fit_interval(said, true, level=settings.interval, bands=settings.interval_bands)
    return Fitted(interval, number_metrics(said.point, true))


def prepare(run: StageRun) -> Training:
    """What is trained on what."""
    return prepare_all(run).training


def prepare_all(run: StageRun) -> Prepared:
    """As `prepare_on`, of a run's artifacts."""
    digests = {name: artifact.digest for name, artifact in run.inputs.items()}
    return prepare_on(
        load_table(run.inputs["table"].directory),
        load_splits(run.inputs["splits"].directory),
        run.inputs["encoder"],
        settings=run.settings,
        fingerprint=digests,
    )


def prepare_on(
    table: SampleTable,
    splits: GroupSplits,
    encoder: Artifact,
    *,
    settings: PredictorSettings,
    fingerprint: dict[str, Any] | None = None,
) -> Prepared:
    """A new head on the encoder, training samples with a known target, and those of validation."""
    values = table.column(settings.target, setting="predictor.target")
    rows = labelled_rows(table, splits, settings)
    target = fit_target(values.iloc[rows], settings=settings)
    categories = categories_of(table, rows, settings.covariates)
    torch.manual_seed(settings.seed)
    base, described = load_encoder(encoder.directory)
    if settings.encoder == "new":
        base = SequenceEncoder(**described["sizes"])
    for part in (base,) if settings.freeze_base else (base.unifrac, base.nucleotide):
        part.requires_grad_(False)
    outputs = len(target.classes) if target.kind == CLASSIFICATION else 1
    if target.kind != CLASSIFICATION and settings.loss == "quantile":
        outputs = len(settings.quantiles)
    landmarks = commonest(table, rows, most=settings.landmarks)
    model = SequencePredictor(
        base,
        outputs=outputs,
        landmarks=len(landmarks),
        channels=min(settings.channels, len(landmarks)),
        categories=categories,
        count_head=settings.count_weight > 0,
        **{name: getattr(settings, name) for name in HEAD},
    )
    model.neighbourhoods.fit(embed_asvs(base, tokenize(table.sequences[landmarks], max_bp=base.max_bp)))
    limit = described["token_limit"]

    def samples(chosen: np.ndarray, *, fixed: bool) -> PredictorSamples:
        draws = rarefactions_of(table, chosen, count=1 if fixed else settings.rarefactions)
        cached = cached_embeddings(model, table, draws, limit=limit) if settings.freeze_base and len(chosen) else None
        if not fixed:
            known = cached if cached is not None else cached_embeddings(model, table, draws[:1], limit=limit)
            model.standardise(known.flatten(0, 1))
        return PredictorSamples(
            table,
            chosen,
            answer=target.encode(values.iloc[chosen]),
            covariates=encode_covariates(table, chosen, categories),
            draws=draws,
            cached=cached,
            max_bp=base.max_bp,
            limit=limit,
            fixed=fixed,
        )

    train_samples = samples(rows, fixed=False)
    judged = known_rows(values, splits.samples_in("validation"))
    judged = judged if settings.learn_from == "train" else judged[:0]
    validation = samples(judged, fixed=True) if len(judged) else None
    model.train()
    quantiles = settings.quantiles if target.kind != CLASSIFICATION else []
    loss = settings.loss if target.kind != CLASSIFICATION else "mae"
    task = PredictorTask(
        model,
        target=target,
        loss=loss,
        quantiles=quantiles,
        count_weight=settings.count_weight,
        categories=categories,
    )
    return Prepared(Training(task, train_samples, validation, fingerprint or {}), target, categories, described)


def commonest(table: SampleTable, rows: np.ndarray, *, most: int) -> np.ndarray:
    """The ASVs that most of these samples have, at most so many, ascending."""
    having = np.bincount(table.counts[rows].indices, minlength=len(table.asv_ids))
    return np.sort(np.argsort(-having, kind="stable")[: min(most, int((having > 0).sum()))])


def known_rows(values: Any, rows: np.ndarray) -> np.ndarray:
    """Those of the rows whose value is known."""
    return rows[values.iloc[rows].notna().to_numpy()]


def labelled_rows(table: SampleTable, splits: GroupSplits, settings: PredictorSettings) -> np.ndarray:
    """Training samples with a known target, ascending, of `label_share` of their groups (drawn by the splits' seed)."""
    rows = np.sort(np.concatenate([splits.samples_in(part) for part in settings.learn_from.split("+")]))
    rows = known_rows(table.column(settings.target, setting="predictor.target"), rows)
    if settings.label_share < 1:
        groups = np.unique(splits.group[rows].astype(str))
        kept = np.random.default_rng([splits.seed, splits.fold]).permutation(groups)
        kept = kept[: max(1, round(settings.label_share * len(groups)))]
        rows = rows[np.isin(splits.group[rows].astype(str), kept)]
    if not len(rows):
        raise UserError(
            f"predictor.target: no training sample has a value in column '{settings.target}'; name another column."
        )
    return rows


def load_predictor(directory: Path) -> tuple[PredictorTask, dict[str, Any]]:
    """The trained task in eval mode, and its predictor.json."""
    described: dict[str, Any] = json.loads((directory / DESCRIPTION).read_text())
    target = Target(**described["target"])
    outputs = len(target.classes) if target.kind == CLASSIFICATION else 1
    if target.kind != CLASSIFICATION and described["loss"] == "quantile":
        outputs = len(described["quantiles"])
    model = SequencePredictor(
        SequenceEncoder(**described["encoder"]["sizes"]),
        outputs=outputs,
        categories=described["categories"],
        count_head=described["count_weight"] > 0,
        **described["head"],
    )
    model.load_state_dict(load_weights(directory))
    model.eval()
    loss = described["loss"] if target.kind != CLASSIFICATION else "mae"
    task = PredictorTask(
        model,
        target=target,
        loss=loss,
        quantiles=described["quantiles"],
        count_weight=described["count_weight"],
        categories=described["categories"],
        interval=Interval(**described["interval"]) if described["interval"] else None,
    )
    return task, described


def _curves(target: Target) -> Curves:
    classes = target.kind == CLASSIFICATION
    metrics = {"auc": "AUC", "accuracy": "accuracy"} if classes else {"mae": "mean absolute error"}
    terms = {"target": str(target.column), "count": "number of ASVs"}
    return partial(training_curves, terms=terms, metrics=metrics)
