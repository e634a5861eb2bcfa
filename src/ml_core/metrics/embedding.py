"""The geometry of embeddings: do they spread over their space, or have they collapsed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOISE = 1e-10  # variance below this share of the mean square is rounding, not spread


@dataclass(frozen=True)
class Geometry:
    """Of one set of embeddings [n, f].

    effective_rank: see `effective_rank`. pca90, pca95: see `components_for`. within_cosine: see `mean_cosine`.
    """

    nodes: int
    effective_rank: float
    pca90: int
    pca95: int
    within_cosine: float


def geometry(embeddings: np.ndarray) -> Geometry:
    """All figures of one set; NaN and 0 where an embedding is not finite."""
    if not np.isfinite(embeddings).all():
        return Geometry(len(embeddings), float("nan"), 0, 0, float("nan"))
    spread = variances(embeddings)
    return Geometry(
        len(embeddings),
        effective_rank(embeddings),
        components_for(spread, 0.90),
        components_for(spread, 0.95),
        mean_cosine(embeddings),
    )


def effective_rank(embeddings: np.ndarray) -> float:
    """exp(entropy of the singular values divided by their sum), between 1 and min(n, f).

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007; as a measure of
    collapse Garrido et al., "RankMe", ICML 2023. The matrix is not centred: equal rows plus rounding have rank 1, not
    that of the rounding. 0 for no rows or zeros only.
    """
    matrix = _smaller_gram(np.asarray(embeddings, np.float64))
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(matrix), 0, None)) if len(matrix) else np.zeros(0)
    if not singular.sum() > 0:
        return 0.0
    share = singular[singular > 0] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def variances(embeddings: np.ndarray) -> np.ndarray:
    """Variances along the principal components, descending, [min(n, f)]; zeros where the spread is only rounding."""
    rows = np.asarray(embeddings, np.float64)
    if len(rows) < 2:
        return np.zeros(min(rows.shape))
    centred = rows - rows.mean(axis=0)
    found = np.linalg.eigvalsh(_smaller_gram(centred))[::-1] / len(rows)
    found = np.clip(found, 0, None)
    is_noise = found.sum() <= NOISE * (rows**2).sum() / len(rows)
    return np.zeros_like(found) if is_noise else found


def components_for(spread: np.ndarray, share: float) -> int:
    """Least number of principal components with `share` of the variance, however many; 0 without variance."""
    if not spread.sum() > 0:
        return 0
    return int(np.searchsorted(np.cumsum(spread) / spread.sum(), share - 1e-12) + 1)


def mean_cosine(embeddings: np.ndarray) -> float:
    """Mean cosine over all pairs of different rows, exactly; NaN for fewer than two. A zero row has cosine 0."""
    n = len(embeddings)
    if n < 2:
        return float("nan")
    unit = unit_rows(embeddings)
    return float((np.square(unit.sum(axis=0)).sum() - np.square(unit).sum()) / (n * (n - 1)))


def mean_cosine_between(first: np.ndarray, second: np.ndarray) -> float:
    """Mean cosine over all pairs of a row of one set and a row of the other; NaN where one is empty."""
    if not len(first) or not len(second):
        return float("nan")
    return float(unit_rows(first).mean(axis=0) @ unit_rows(second).mean(axis=0))


def sampled_cosines(embeddings: np.ndarray, *, pairs: int, seed: int) -> np.ndarray:
    """Cosines of `pairs` random pairs of different rows, for a histogram; empty for fewer than two rows."""
    n = len(embeddings)
    if n < 2:
        return np.zeros(0)
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n, pairs)
    second = (first + rng.integers(1, n, pairs)) % n
    unit = unit_rows(embeddings)
    cosines: np.ndarray = (unit[first] * unit[second]).sum(axis=1)
    return cosines


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """Rows at length 1, float64; zero rows stay zero."""
    rows = np.asarray(embeddings, np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


def _smaller_gram(rows: np.ndarray) -> np.ndarray:
    """The Gram matrix over rows or over columns, whichever is smaller: same eigenvalues but for zeros."""
    gram: np.ndarray = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    return gram
