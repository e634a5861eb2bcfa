"""How well scores separate true pairs from corrupted ones: AUROC and AUPRC, and where the corrupted ones come from.

Each true pair has its own negatives. In a bootstrap they are drawn together with it: a negative of one pair is no
observation of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

TRIES = 30  # draws for a negative that is not known to be true, before it is left out


@dataclass(frozen=True)
class Negatives:
    """Corrupted pairs, [m, k] each: the first half with another column, the second with another row; -1 where none."""

    rows: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class Separation:
    """AUROC, and AUPRC at one negative for each true pair: floats, or one value for each resampling [draws]."""

    auroc: np.ndarray
    auprc: np.ndarray


def corrupt(
    rows: np.ndarray,
    columns: np.ndarray,
    *,
    known: sparse.csr_matrix,
    per_pair: int,
    matched: bool,
    rng: np.random.Generator,
) -> Negatives:
    """Negatives of the pairs rows, columns [m], `per_pair` (even) for each, none of them in `known` [a, b].

    Uniform: the other row or column is any. Matched: it is drawn from those of the pairs themselves, each as often as
    it occurs there, so that the negatives' nodes have the degrees of the true pairs' nodes and popularity alone tells
    them apart no better than chance.
    """
    height, width = known.shape
    half = per_pair // 2
    taken = pair_keys(known)
    pools = (columns, rows) if matched else (np.arange(width), np.arange(height))
    new_columns = np.repeat(columns[:, None], per_pair, axis=1).astype(np.int64)
    new_rows = np.repeat(rows[:, None], per_pair, axis=1).astype(np.int64)
    for changed, pool, part in ((new_columns, pools[0], slice(0, half)), (new_rows, pools[1], slice(half, per_pair))):
        open_row, open_place = np.nonzero(np.ones((len(rows), changed[:, part].shape[1]), bool))
        open_place = open_place + (part.start or 0)
        for _ in range(TRIES):
            if not len(open_row):
                break
            changed[open_row, open_place] = pool[rng.integers(0, len(pool), len(open_row))]
            key = new_rows[open_row, open_place] * width + new_columns[open_row, open_place]
            bad = _in_sorted(key, taken)
            open_row, open_place = open_row[bad], open_place[bad]
        new_rows[open_row, open_place] = new_columns[open_row, open_place] = -1
    return Negatives(new_rows, new_columns)


def pair_keys(known: sparse.csr_matrix) -> np.ndarray:
    """row * width + column of each stored pair, sorted, int64."""
    pairs = known.tocoo()
    return np.sort(pairs.row.astype(np.int64) * known.shape[1] + pairs.col)


def separate(positive: np.ndarray, negative: np.ndarray, *, weights: np.ndarray | None = None) -> Separation:
    """AUROC and AUPRC of true scores `positive` [m] against `negative` [m, k], NaN where there is no negative.

    `weights` [draws, m] are how often each pair counts, its negatives with it. AUPRC depends on the share of true pairs
    and is given at one half: all negatives together weigh as much as all true pairs. It is the sum of precision over
    steps of recall (scikit-learn's average_precision_score). NaN without any negative, and where a score is NaN.
    """
    there = ~np.isnan(negative) if len(negative) else np.zeros(negative.shape, bool)
    owner = np.concatenate([np.arange(len(positive)), np.nonzero(there)[0]])
    scores = np.concatenate([positive, negative[there]])
    is_true = np.arange(len(scores)) < len(positive)
    counts = np.ones((1, len(positive)), np.float32) if weights is None else weights
    if not there.any() or not np.isfinite(positive).all():
        nothing = np.full(len(counts), np.nan)
        return Separation(nothing, nothing)
    _, group = np.unique(-scores, return_inverse=True)  # 0 is the highest score
    size = int(group.max()) + 1
    auroc, auprc = np.empty(len(counts)), np.empty(len(counts))
    for draw, count in enumerate(counts):
        weight = count[owner].astype(np.float64)
        true = np.bincount(group[is_true], weights=weight[is_true], minlength=size)
        false = np.bincount(group[~is_true], weights=weight[~is_true], minlength=size)
        trues, falses = float(true.sum()), float(false.sum())
        below = falses - np.cumsum(false) + false / 2
        seen_true, seen_false = np.cumsum(true), np.cumsum(false) * (trues / falses if falses else np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):  # a resampling may draw no pair that has negatives
            auroc[draw] = (true * below).sum() / np.float64(trues * falses)
            precision = np.where(true > 0, seen_true / (seen_true + seen_false), 0.0)
            auprc[draw] = (true * precision).sum() / np.float64(trues)
    return Separation(auroc, auprc)


def auroc_contributions(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """What each true pair and its negatives add to the AUROC, [m]: their mean is the AUROC exactly.

    Placement values (DeLong et al., 1988) summed within clusters (Obuchowski, 1997). Resampling these means follows
    the resampled AUROC to first order, at a small part of its cost. NaN as in `separate`.
    """
    there = ~np.isnan(negative) if len(negative) else np.zeros(negative.shape, bool)
    if not there.any() or not np.isfinite(positive).all():
        return np.full(len(positive), np.nan)
    trues, falses = np.sort(positive), np.sort(negative[there])
    of_true = (np.searchsorted(falses, positive) + np.searchsorted(falses, positive, side="right")) / (2 * len(falses))
    auroc = of_true.mean()
    passed = np.zeros(negative.shape)
    place = np.searchsorted(trues, negative[there]) + np.searchsorted(trues, negative[there], side="right")
    passed[there] = 1 - place / (2 * len(trues)) - auroc
    contributions: np.ndarray = of_true + passed.sum(axis=1) * len(positive) / len(falses)
    return contributions


def _in_sorted(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    if not len(there):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(there, values), len(there) - 1)
    found: np.ndarray = there[place] == values
    return found
