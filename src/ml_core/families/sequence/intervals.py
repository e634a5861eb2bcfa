"""Intervals that hold what they promise for samples of groups never seen: errors of heads that had not seen the group.

Cross-conformal prediction (Vovk 2015, Barber et al. 2021): the labelled groups are dealt into folds, each is predicted
by heads fitted to the others, and quantiles of these errors, among samples predicted alike, are the interval's ends.
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.evaluate import Said, predict_samples
from ml_core.families.sequence.model_settings import PredictorSettings
from ml_core.families.sequence.predictor_samples import PredictorSamples
from ml_core.families.sequence.predictor_task import Interval, PredictorTask
from ml_core.training.task import Training
from ml_core.training.trainer import fit

PER_BAND = 50  # errors that the ends of a band rest on, at least


@dataclass(frozen=True)
class Some:
    """Those of the samples that `places` names."""

    samples: PredictorSamples
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Any:
        return self.samples.fetch(self.places[indices], seed=seed, epoch=epoch)


def cross_predict(
    training: Training, table: SampleTable, group: np.ndarray, *, settings: PredictorSettings, limit: int, work: Path
) -> Said:
    """What heads say of the labelled samples whose group they have not seen; `training` stays as it is.

    group [n]: of each labelled sample. `work` holds a checkpoint of each fold, from which a stopped run goes on.
    """
    samples, task = training.train, training.task
    assert isinstance(samples, PredictorSamples)
    assert isinstance(task, PredictorTask)
    names, of_sample = np.unique(group.astype(str), return_inverse=True)
    folds = min(settings.interval_folds, len(names))
    fold_of_group = np.random.default_rng(settings.seed).permutation(np.arange(len(names)) % folds)
    fold = fold_of_group[of_sample]
    parts: list[Said] = []
    for number in range(folds):
        mine = copy.copy(task)
        mine.model = copy.deepcopy(task.model)
        torch.manual_seed(settings.seed + 1 + number)
        mine.model.draw_heads()
        chosen = Some(samples, np.flatnonzero(fold != number))
        quiet = settings.model_copy(update={"tensorboard": False, "progress_bar": False, "patience": None})
        fit(mine, train=chosen, validation=None, settings=quiet, directory=work / f"fold-{number}")
        rows = samples.rows[fold == number]
        parts.append(predict_samples(mine, table, rows, rarefactions=settings.predict_rarefactions, limit=limit))
    shutil.rmtree(work, ignore_errors=True)
    back = np.argsort(np.concatenate([np.flatnonzero(fold == number) for number in range(folds)]))
    return Said(**{name: np.concatenate([getattr(part, name) for part in parts])[back] for name in asdict(parts[0])})


def fit_interval(said: Said, true: np.ndarray, *, level: float, bands: int) -> Interval:
    """Ends of the errors of samples predicted alike, in at most `bands` bands of equally many; all [n].

    Of n errors the k-th smallest with k = ceil((n + 1) (1 + level) / 2) is the upper end, the largest where there are
    too few: then a new one is below it with the chance that was asked for.
    """
    bands = max(1, min(bands, len(true) // PER_BAND))
    edges = np.quantile(said.point, np.arange(1, bands) / bands)
    band = np.searchsorted(edges, said.point, side="right")
    below, above = said.low - true, true - said.high
    ends = [
        [_upper(errors[band == number], level=(1 + level) / 2) for number in range(bands)] for errors in (below, above)
    ]
    return Interval(level, edges.tolist(), *ends)


def _upper(errors: np.ndarray, *, level: float) -> float:
    place = int(np.ceil((len(errors) + 1) * level))
    return float(np.sort(errors)[min(place, len(errors)) - 1])
