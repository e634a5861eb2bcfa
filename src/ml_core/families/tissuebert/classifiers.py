"""Classifiers that stand beside the model, on the same donors: prior, naive Bayes, logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ml_core.families.tissuebert.baselines import RegionCounts
from ml_core.families.tissuebert.calibration import alike
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.likelihoods import LikelihoodTables, split_counts
from ml_core.families.tissuebert.scores import accuracy

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # inverse regularisation that is tried on validation donors
UNSEEN = -1e6  # score of a tissue without a training sample
ITERATIONS = 2000
SMALLEST = 1e-12
SMOOTHING = 0.5  # of a CpG, added either way to a read's methylated share


def prior(tissue: np.ndarray, *, tissues: int, items: int) -> np.ndarray:
    """The training samples' shares as scores [items, tissues], alike for all; tissue [training samples]."""
    shares = np.bincount(tissue, minlength=tissues) / max(len(tissue), 1)
    return np.tile(np.log(np.maximum(shares, SMALLEST)), (items, 1))


def naive_bayes(rates: np.ndarray, regions: Regions, rows: np.ndarray) -> np.ndarray:
    """log p(CpGs of the row | tissue) [n, tissues] of rows [n], each CpG by itself; rates [regions, tissues]."""
    region = regions.row_region[rows]
    k, n = (np.asarray(field)[rows].astype(float)[:, None] for field in (regions.n_meth, regions.n_cov))
    found: np.ndarray = k * np.log(rates[region]) + (n - k) * np.log1p(-rates[region])
    return found


def by_tables(tables: LikelihoodTables, regions: Regions, rows: np.ndarray) -> np.ndarray:
    """What the tables of the training donors say by themselves, [n, tissues] of rows [n]."""
    place, k, n, weight = split_counts(regions, rows)
    summed = np.asarray(regions.samples["kind"] == "counts")[regions.row_sample[rows[place]]]
    said = tables.log_likelihood(regions.row_region[rows[place]], k, n)
    found = np.zeros((len(rows), said.shape[1]))
    np.add.at(found, place, np.where(summed, weight, 1.0)[:, None] * said)
    return found


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression; classes [c] are the tissues that it has seen."""

    model: Pipeline
    classes: np.ndarray
    tissues: int

    @classmethod
    def fit(
        cls, train: np.ndarray, true: np.ndarray, *, tissues: int, validation: np.ndarray, known: np.ndarray, even: bool
    ) -> Logistic:
        """Of features train [n, f] with tissues true [n]; how strong it is, and whether it takes tissues alike, is what
        does best on validation [m, f] with tissues known [m], `even`: by accuracy with tissues alike. With less than
        two tissues known the library's defaults."""
        weight = alike(known, np.ones(len(known))) if even else None
        choices = [(strength, classes) for classes in ("balanced", None) for strength in STRENGTHS]
        best, reached = None, -1.0
        for strength, classes in choices if len(np.unique(known)) > 1 else [(1.0, None)]:
            regression = LogisticRegression(C=strength, class_weight=classes, max_iter=ITERATIONS)
            tried = cls(make_pipeline(StandardScaler(), regression).fit(train, true), np.unique(true), tissues)
            right = accuracy(tried.scores(validation), known, weight=weight) if len(known) else 0.0
            if best is None or right > reached:
                best, reached = tried, right
        assert best is not None
        return best

    def scores(self, features: np.ndarray) -> np.ndarray:
        """log p [m, tissues] of features [m, f]."""
        found = np.full((len(features), self.tissues), UNSEEN)
        if len(features):
            found[:, self.classes] = np.log(np.maximum(self.model.predict_proba(features), SMALLEST))
        return found


@dataclass(frozen=True)
class SampleLogistic:
    """Logistic regression on the methylated shares of regions; `fill` [regions] stands in for regions without reads."""

    logistic: Logistic
    fill: np.ndarray

    @classmethod
    def fit(
        cls,
        train: RegionCounts,
        true: np.ndarray,
        *,
        tissues: int,
        validation: RegionCounts,
        known: np.ndarray,
        even: bool,
    ) -> SampleLogistic:
        """As `Logistic.fit`, of the counts of samples."""
        fill = (train.meth.sum(0) + SMOOTHING) / (train.cov.sum(0) + 2 * SMOOTHING)
        means, others = train.means(fill), validation.means(fill)
        return cls(Logistic.fit(means, true, tissues=tissues, validation=others, known=known, even=even), fill)

    def scores(self, counts: RegionCounts) -> np.ndarray:
        return self.logistic.scores(counts.means(self.fill))


def read_features(regions: Regions, rows: np.ndarray) -> np.ndarray:
    """[n, 1 + blocks] of rows [n]: methylated share of a read, and which block of regions (DMR) it lies in."""
    codes, blocks = pd.factorize(regions.regions["block"], sort=True)
    share = (regions.n_meth[rows] + SMOOTHING) / (regions.n_cov[rows] + 2 * SMOOTHING)
    block = codes[regions.row_region[rows]]
    return np.column_stack([share, np.eye(len(blocks))[block]])
