"""The stage `model`: learn what reads tell of tissues from training donors, chosen on validation donors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from ml_core.errors import UserError
from ml_core.families.tissuebert.batches import FixedBags, ReadMaker, TrainingBags
from ml_core.families.tissuebert.donors import DonorSplits, load_splits
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.model_files import build_model, save_description
from ml_core.families.tissuebert.model_settings import ModelSettings
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.sampler import BalancedSampler
from ml_core.families.tissuebert.tables import Tables, fit_tables, information
from ml_core.families.tissuebert.task import TissueTask
from ml_core.families.tissuebert.validation_tables import draw_validation, predict_all, tissue_rows
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.stage import fit_stage, summary_with_curves
from ml_core.training.state import FitResult
from ml_core.training.task import Training
from ml_core.training.term_curves import training_curves

CURVES = {"tissue": "tissue head", "likelihood": "likelihood", "bag": "bag"}
METRICS = {"read_accuracy": "reads", "region_accuracy": "regions", "sample_accuracy": "samples", "read_top3": "top 3"}


@dataclass(frozen=True)
class Prepared:
    """A training, and what was fitted on the training donors before it began."""

    training: Training
    regions: Regions
    splits: DonorSplits
    tables: Tables


def train(run: StageRun) -> Summary:
    """Train, and write weights, tables, what is needed to build the network again, logs, curves and tables."""
    settings: ModelSettings = run.settings
    prepared = prepare_all(run)
    training = prepared.training
    result = fit_stage(run, training)
    save_description(
        run.directory,
        regions=prepared.regions,
        settings=settings,
        tables=prepared.tables.fitted,
        trained_on={name: artifact.digest for name, artifact in run.inputs.items()},
    )
    return _summary(run, prepared, result=result)


def prepare(run: StageRun) -> Training:
    """What is trained on what."""
    return prepare_all(run).training


def prepare_all(run: StageRun) -> Prepared:
    """A new network, bags of training donors' reads, and those of validation donors."""
    regions = open_regions(run.inputs["regions"].directory / FILE)
    splits = load_splits(run.inputs["splits"].directory)
    digests = {name: artifact.digest for name, artifact in run.inputs.items()}
    return prepare_on(regions, splits, settings=run.settings, fingerprint=digests)


def prepare_on(
    regions: Regions, splits: DonorSplits, *, settings: ModelSettings, fingerprint: dict[str, Any] | None = None
) -> Prepared:
    """As `prepare_all`, of what has been read."""
    chosen = splits.samples_in("train")
    if not len(chosen):
        raise UserError("model: there is no training sample; give samples of more donors.")
    tables = fit_tables(regions, chosen, folds=settings.table_folds, donor_correlation=settings.donor_correlation)
    weights = information(tables.fitted) if settings.region_weights == "information" else None
    maker = ReadMaker(regions, places=settings.sizes.places, use_dna=settings.use_dna)
    train_bags = TrainingBags(
        maker,
        BalancedSampler(regions, chosen, weights=weights),
        tables,
        bag_reads=settings.bag_reads,
        cpg_dropout=settings.cpg_dropout,
    )
    judged = splits.samples_in("validation")
    validation = FixedBags(maker, judged, tables, bag_reads=settings.bag_reads, most=settings.validation_reads)
    torch.manual_seed(settings.seed)
    task = TissueTask(
        build_model(regions, settings),
        tissues=[str(name) for name in regions.tissues["name"]],
        weights={
            "tissue": settings.tissue_weight,
            "likelihood": settings.likelihood_weight,
            "bag": settings.bag_weight,
        },
        label_smoothing=settings.label_smoothing,
    )
    training = Training(task, train_bags, validation if len(validation) else None, fingerprint or {})
    return Prepared(training, regions, splits, tables)


def _summary(run: StageRun, prepared: Prepared, *, result: FitResult) -> Summary:
    settings: ModelSettings = run.settings
    summary = summary_with_curves(run, result, curves=partial(training_curves, terms=CURVES, metrics=METRICS))
    task, regions = prepared.training.task, prepared.regions
    assert isinstance(task, TissueTask)
    judged = prepared.training.validation
    if isinstance(judged, FixedBags):
        predictions = predict_all(task, judged, batch_size=settings.batch_size)
        draw_validation(task, predictions, run.directory / "figures" / "confusion.png")
        summary.figures["Validation donors by tissue"] = "figures/confusion.png"
        summary.tables["Validation donors by tissue"] = tissue_rows(predictions, tissues=task.tissues)
    summary.numbers = {name: value for name, value in summary.numbers.items() if "/" not in name}
    seen = prepared.training.train
    assert isinstance(seen, TrainingBags)
    used = seen.sampler.samples
    summary.numbers |= {"train.samples": len(used), "train.donors": regions.samples["donor"].iloc[used].nunique()}
    wrong = int(np.isin(used, prepared.splits.samples_in("test")).sum())
    summary.check("test_unseen", wrong == 0, f"{wrong} test samples are among {len(used)}")
    return summary
