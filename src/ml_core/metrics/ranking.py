"""Where true pairs rank among all candidates: filtered, with realistic ties.

Filtered (Bordes et al., 2013): other pairs known to be true do not count as competitors. Realistic ties (Berrendorf et
al., 2020, "On the ambiguity of rank-based evaluation of entity alignment or link prediction methods"): the mean of the
best and the worst rank that equal scores allow, so that a model that gives every candidate one score gets the middle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

HITS = (1, 3, 10)


def filtered_ranks(
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    rows: np.ndarray,
    columns: np.ndarray,
    known: sparse.csr_matrix,
    tolerance: float = 1e-6,
    cells: int = 4_000_000,
) -> np.ndarray:
    """Rank of candidate `columns[i]` for query `rows[i]`, by the score `queries @ candidates.T`.

    queries [a, f], candidates [b, f]; rows, columns [m]: the true pairs; known [a, b]: all true pairs, these included,
    and whatever else is no competitor. Scores nearer to each other than `tolerance` of the query's largest count as
    equal. `cells` bounds the scores in memory at a time.

    Returns [m] float64, 1 is the best; NaN where a score is not finite, so that a broken model has no rank at all.
    """
    nothing = np.zeros((1, len(candidates)), np.float32)
    pairs: dict[str, Any] = {"rows": rows, "columns": columns, "known": known}
    return lifted_ranks(queries, candidates, lifts=nothing, **pairs, tolerance=tolerance, cells=cells)[0]


def lifted_ranks(
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    lifts: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    known: sparse.csr_matrix,
    tolerance: float = 1e-6,
    cells: int = 4_000_000,
) -> np.ndarray:
    """`filtered_ranks` by each of the scores `queries @ candidates.T + lifts[i]`: lifts [s, b], returns [s, m].

    The products are the dear part, and are taken once.
    """
    ranks = np.empty((len(lifts), len(rows)))
    order = np.argsort(rows, kind="stable")
    asked, first = np.unique(rows[order], return_index=True)
    bounds = np.append(first, len(rows))  # pairs of asked[i] are order[bounds[i]:bounds[i + 1]]
    step = max(1, cells // max(1, len(candidates)))
    for start in range(0, len(asked), step):
        block = asked[start : start + step]
        scores = queries[block] @ candidates.T  # [block, b]
        pairs = order[bounds[start] : bounds[start + len(block)]]
        local = np.searchsorted(block, rows[pairs])
        out = known[block].tocoo()
        for number, lift in enumerate(lifts):
            lifted = scores + lift if lift.any() else scores.copy()
            true = lifted[local, columns[pairs]]
            margin = (tolerance * np.abs(lifted).max(axis=1))[local]
            lifted[out.row, out.col] = -np.inf
            for at in range(0, len(pairs), step):
                part = slice(at, at + step)
                competing = lifted[local[part]]  # [part, b]
                above = np.count_nonzero(competing > (true + margin)[part, None], axis=1)
                level = np.count_nonzero(competing >= (true - margin)[part, None], axis=1) - above
                ranks[number, pairs[part]] = np.where(np.isfinite(margin[part]), 1 + above + level / 2, np.nan)
    return ranks


def rank_metrics(ranks: np.ndarray) -> dict[str, float]:
    """Mean reciprocal rank and Hits@1, 3 and 10 of `ranks` [m, ...]; NaN without any, or where any is NaN."""
    per_pair = reciprocal_and_hits(ranks.reshape(-1, 1))
    return {name: float(values.mean()) if len(values) else float("nan") for name, values in per_pair.items()}


def reciprocal_and_hits(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """mrr, hits1, hits3, hits10 of each pair, the mean over its sides: ranks [m, sides] to [m] each."""
    missing = np.isnan(ranks)
    hits = {f"hits{k}": np.where(missing, np.nan, ranks <= k).mean(axis=1) for k in HITS}
    return {"mrr": (1 / ranks).mean(axis=1), **hits}
