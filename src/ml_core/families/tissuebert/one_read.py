"""Tables of single reads of two tissues: the model beside logistic regression, with standard errors."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from ml_core.families.tissuebert.asked import Known, rows_of
from ml_core.families.tissuebert.classifiers import Logistic, read_features
from ml_core.families.tissuebert.report_settings import ReportSettings
from ml_core.metrics.bootstrap import draw_weights
from ml_core.summary import Number


def one_read(known: Known, settings: ReportSettings) -> dict[str, Number]:
    """Accuracy and AUC of both over all test reads, their differences, and standard errors by drawing reads anew.

    Empty where there are no test reads of two tissues.
    """
    asked = known.test
    if known.tissues != 2 or len(np.unique(asked.true)) != 2:
        return {}
    learnt, _ = rows_of(known.regions, known.splits.samples_in("train"))
    true = known.regions.tissue_of_sample[known.regions.row_sample[learnt]]
    logistic = Logistic.fit(
        read_features(known.regions, learnt),
        true,
        tissues=2,
        validation=read_features(known.regions, known.validation.rows),
        known=known.validation.true,
        even=False,
    )
    said = {
        "test": asked.heads[known.head],
        "baseline.logistic": logistic.scores(read_features(known.regions, asked.rows)),
    }
    return compared(said, asked.true, asked.weight, settings=settings)


def compared(
    said: dict[str, np.ndarray], true: np.ndarray, weight: np.ndarray, *, settings: ReportSettings
) -> dict[str, Number]:
    """`said`: "test" and "baseline.logistic" -> scores [n, 2] of rows that stand for `weight` [n] reads each."""
    single = np.repeat(np.arange(len(true)), weight.astype(int))
    weights = draw_weights(len(single), draws=settings.bootstrap_draws, seed=settings.seed)
    both = [each for each in weights if 0 < each @ true[single] < len(single)]  # AUC needs reads of both
    numbers: dict[str, Number] = {}
    draws: dict[str, np.ndarray] = {}
    for name, scores in said.items():
        chance = log_softmax(scores, axis=1)
        margin, right = (chance[:, 1] - chance[:, 0])[single], (scores.argmax(1) == true)[single]
        numbers[f"{name}.read_accuracy"] = float(right.mean())
        numbers[f"{name}.read_auc"] = float(roc_auc_score(true[single], margin))
        draws[f"{name}.read_accuracy"] = weights @ right / len(single)
        draws[f"{name}.read_auc"] = np.array([roc_auc_score(true[single], margin, sample_weight=each) for each in both])
    for metric in ("read_accuracy", "read_auc"):
        ours, theirs = (f"{name}.{metric}" for name in said)
        numbers[f"test.{metric}_se"] = float(draws[ours].std())
        numbers[f"test.{metric}_lead"] = float(numbers[ours]) - float(numbers[theirs])  # type: ignore[arg-type]
        numbers[f"test.{metric}_lead_se"] = float((draws[ours] - draws[theirs]).std())
    return numbers
