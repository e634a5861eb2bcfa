"""Where true pairs rank among all candidates: filtered, with realistic ties.

Filtered (Bordes et al., 2013): other pairs known to be true do not count as competitors. Realistic ties (Berrendorf et
al., 2020, "On the ambiguity of rank-based evaluation of entity alignment or link prediction methods"): the mean of the
best and the worst rank that equal scores allow, so that a model that gives every candidate one score gets the middle.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

HITS = (1, 3, 10)
CACHED_CELLS = 250_000  # scores that are compared at a time: 1 MB


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
    """`filtered_ranks` by each of the scores `queries @ candidates.T + lifts[i]`: lifts [s, b], returns [s, m]."""
    pairs: dict[str, Any] = {"rows": rows, "columns": columns, "known": known}
    ways = [functools.partial(np.add, lift) if lift.any() else np.copy for lift in lifts]
    return ranks_by_ways([(queries, candidates)], ways, **pairs, tolerance=tolerance, cells=cells)


def ranks_by_ways(
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    ways: Sequence[Callable[..., np.ndarray]],
    *,
    rows: np.ndarray,
    columns: np.ndarray,
    known: sparse.csr_matrix,
    tolerance: float = 1e-6,
    cells: int = 4_000_000,
) -> np.ndarray:
    """`filtered_ranks` by each way to put the products `queries @ candidates.T` of the parts together, [ways, m].

    The products are the dear part, and are taken once. A way takes one array [some queries, b] for each part and
    returns a new one.
    """
    ranks = np.empty((len(ways), len(rows)))
    order = np.argsort(rows, kind="stable")
    asked, first = np.unique(rows[order], return_index=True)
    bounds = np.append(first, len(rows))  # pairs of asked[i] are order[bounds[i]:bounds[i + 1]]
    candidates = len(parts[0][1])
    step, few = (max(1, bound // max(1, candidates)) for bound in (cells, CACHED_CELLS))
    for start in range(0, len(asked), step):
        block = asked[start : start + step]
        products = [queries[block] @ others.T for queries, others in parts]  # [block, b] each
        for at in range(start, start + len(block), few):
            some = asked[at : min(at + few, start + len(block))]
            pairs = order[bounds[at] : bounds[at + len(some)]]
            local, out = np.searchsorted(some, rows[pairs]), known[some].tocoo()
            mine = [product[at - start : at - start + len(some)] for product in products]
            for number, way in enumerate(ways):
                ranks[number, pairs] = _among(way(*mine), local, columns[pairs], out=out, tolerance=tolerance)
    return ranks


def _among(
    scores: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, out: sparse.coo_matrix, tolerance: float
) -> np.ndarray:
    """Ranks [m] of the pairs (rows, columns) among scores [a, b], which are overwritten where `out` has a pair."""
    true = scores[rows, columns]
    margin = (tolerance * np.maximum(scores.max(axis=1), -scores.min(axis=1)))[rows]  # NaN if any score is
    scores[out.row, out.col] = -np.inf
    above, at_least = np.empty(len(rows)), np.empty(len(rows))
    for pair, row in enumerate(rows.tolist()):
        above[pair] = np.count_nonzero(scores[row] > true[pair] + margin[pair])
        at_least[pair] = np.count_nonzero(scores[row] >= true[pair] - margin[pair])
    return np.where(np.isfinite(margin), 1 + above + (at_least - above) / 2, np.nan)


def rank_metrics(ranks: np.ndarray) -> dict[str, float]:
    """Mean reciprocal rank and Hits@1, 3 and 10 of `ranks` [m, ...]; NaN without any, or where any is NaN."""
    per_pair = reciprocal_and_hits(ranks.reshape(-1, 1))
    return {name: float(values.mean()) if len(values) else float("nan") for name, values in per_pair.items()}


def reciprocal_and_hits(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """mrr, hits1, hits3, hits10 of each pair, the mean over its sides: ranks [m, sides] to [m] each."""
    missing = np.isnan(ranks)
    hits = {f"hits{k}": np.where(missing, np.nan, ranks <= k).mean(axis=1) for k in HITS}
    return {"mrr": (1 / ranks).mean(axis=1), **hits}
