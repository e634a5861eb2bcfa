"""How well scores separate true pairs from corrupted ones: AUROC and AUPRC, and where the corrupted ones come from.

Each true pair has its own negatives. In a bootstrap they are drawn together with it: a negative of one pair is no
observation of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

Weights = tuple[np.ndarray, np.ndarray]
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
    owner = np.nonzero(there)[0]
    counts = np.ones((1, len(positive)), np.float32) if weights is None else weights
    return _separate(positive, negative[there], ((count, count[owner]) for count in counts))


def separate_sets(positive: np.ndarray, negative: np.ndarray, *, draws: int = 0, seed: int = 0) -> Separation:
    """AUROC and balanced AUPRC of two independent sets of scores [p] and [n]; of resamplings of both if draws > 0."""
    rng = np.random.default_rng(seed)

    def drawn(size: int) -> np.ndarray:
        return np.bincount(rng.integers(0, size, size), minlength=size) if draws and size else np.ones(size)

    sets = ((drawn(len(positive)), drawn(len(negative))) for _ in range(max(draws, 1)))
    return _separate(positive, negative, sets)


def _separate(positive: np.ndarray, negative: np.ndarray, weights: Iterable[Weights]) -> Separation:
    """For each pair of weights of all positives [p] and all negatives [n]."""
    found = []
    if len(positive) and len(negative) and np.isfinite(positive).all() and np.isfinite(negative).all():
        _, group = np.unique(-np.concatenate([positive, negative]), return_inverse=True)  # 0 is the highest score
        size = int(group.max()) + 1
        of_true, of_false = group[: len(positive)], group[len(positive) :]
        for true_weight, false_weight in weights:
            true = np.bincount(of_true, weights=true_weight, minlength=size)
            false = np.bincount(of_false, weights=false_weight, minlength=size)
            found.append(_areas(true, false))
    else:
        found = [(float("nan"), float("nan")) for _ in weights]
    auroc, auprc = np.array(found).reshape(-1, 2).T
    return Separation(auroc, auprc)


def _areas(true: np.ndarray, false: np.ndarray) -> tuple[float, float]:
    """AUROC and balanced AUPRC of weights by group of equal scores, highest first; NaN where a side weighs nothing."""
    trues, falses = float(true.sum()), float(false.sum())
    if not trues or not falses:
        return float("nan"), float("nan")
    below = falses - np.cumsum(false) + false / 2
    seen_true, seen_false = np.cumsum(true) / trues, np.cumsum(false) / falses
    precision = seen_true[true > 0] / (seen_true + seen_false)[true > 0]
    return float((true * below).sum() / (trues * falses)), float((true[true > 0] * precision).sum() / trues)


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
