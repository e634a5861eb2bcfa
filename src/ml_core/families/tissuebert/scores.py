"""How often tissues are named rightly: by read, by region of a sample, by sample. Plain numpy."""

from __future__ import annotations

import numpy as np


def pooled(log_likelihood: np.ndarray, *, weight: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log likelihoods [n, tissues] summed over reads of one owner [n]: owners ascending [m], sums [m, tissues]."""
    owners, place = np.unique(owner, return_inverse=True)
    summed = np.zeros((len(owners), log_likelihood.shape[1]))
    np.add.at(summed, place.ravel(), log_likelihood * weight[:, None])
    return owners, summed


def accuracy(scores: np.ndarray, true: np.ndarray, *, weight: np.ndarray | None = None, top: int = 1) -> float:
    """Share of the items [n] that are named rightly, see `named_rightly`. NaN without items, or where all are of one
    tissue."""
    if len(true) == 0 or (true == true[0]).all():
        return float("nan")
    return float(np.average(named_rightly(scores, true, top=top), weights=weight))


def named_rightly(scores: np.ndarray, true: np.ndarray, *, top: int = 1) -> np.ndarray:
    """float64 [n]: 1 where the true tissue is among the `top` highest of scores [n, tissues], 0 where not; a tie counts
    for the part of it that is there."""
    own = scores[np.arange(len(true)), true][:, None]
    above, alike = (scores > own).sum(1), (scores == own).sum(1)
    found: np.ndarray = np.clip((top - above) / alike, 0, 1)
    return found


def confusion(scores: np.ndarray, true: np.ndarray, *, weight: np.ndarray | None = None) -> np.ndarray:
    """[tissues, tissues] weight of the items by true (row) and named (column) tissue."""
    count = scores.shape[1]
    cells = true * count + scores.argmax(1)
    found: np.ndarray = np.bincount(cells, weight, minlength=count * count).reshape(count, count)
    return found.astype(float)


def by_tissue(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall and F1 [tissues] of a confusion matrix; NaN for what does not occur."""
    right, true, named = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"precision": right / named, "recall": right / true, "f1": 2 * right / (true + named)}
