"""What a model must beat: the same samples, the same split, and no network."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from ml_core.families.sequence.targets import CLASSIFICATION
from ml_core.families.sequence.tokens import A, T

TREES = 500
HAMMING_BLOCK = 256  # sequences compared at a time


def majority(answer: np.ndarray, *, count: int, kind: str, classes: int) -> np.ndarray:
    """For each of `count` samples the training median [count], or the classes' shares [count, classes]."""
    if kind == CLASSIFICATION:
        return np.tile(np.bincount(answer, minlength=classes) / len(answer), (count, 1))
    return np.full(count, np.median(answer))


def random_forest(
    counts: sparse.csr_matrix,
    *,
    train: np.ndarray,
    answer: np.ndarray,
    test: np.ndarray,
    kind: str,
    classes: int,
    seed: int,
) -> np.ndarray:
    """500 trees on rarefied counts [n, a]; numbers [test] or chances [test, classes]. ASVs that no training sample has
    are left out."""
    seen = np.unique(counts[train].indices)
    known, asked = counts[train][:, seen].toarray(), counts[test][:, seen].toarray()
    if kind == CLASSIFICATION:
        forest = RandomForestClassifier(TREES, random_state=seed).fit(known, answer)
        chance = np.zeros((len(test), classes))
        chance[:, forest.classes_] = forest.predict_proba(asked)
        return chance
    numbers: np.ndarray = RandomForestRegressor(TREES, random_state=seed).fit(known, answer).predict(asked)
    return numbers


def nearest_samples(
    distances: np.ndarray, *, train: np.ndarray, answer: np.ndarray, test: np.ndarray, kind: str, classes: int, k: int
) -> np.ndarray:
    """Mean of the k training samples nearest by UniFrac [n, n]: numbers [test], or chances [test, classes]."""
    between = np.asarray(distances[np.ix_(test, train)])
    nearest = np.argsort(between, axis=1, kind="stable")[:, : min(k, len(train))]
    if kind == CLASSIFICATION:
        return np.eye(classes)[answer[nearest]].mean(1)
    numbers: np.ndarray = answer[nearest].mean(1)
    return numbers


def position_majority(tokens: np.ndarray, hidden: np.ndarray, known: np.ndarray) -> float:
    """Share of the hidden nucleotides of tokens [u, l] (hidden bool [u, l]) that are the most frequent one at their
    place among the known sequences [k, l]."""
    counted = np.stack([(known == token).sum(0) for token in range(A, T + 1)])  # [4, l]
    commonest = counted.argmax(0) + A
    return float((tokens == commonest)[hidden].mean())


def nearest_sequence(tokens: np.ndarray, hidden: np.ndarray, known: np.ndarray, *, itself: np.ndarray) -> float:
    """Share of the hidden nucleotides that the nearest other known sequence has at the same place.

    Distance counts the places that differ where nothing is hidden. itself [u]: the sequence's own row in known [k, l],
    -1 where it is not among them.
    """
    right = 0
    letters = range(1, 8)
    known_as = [(known == letter).astype(np.float32) for letter in letters]
    for start in range(0, len(tokens), HAMMING_BLOCK):
        part = slice(start, start + HAMMING_BLOCK)
        shown = ~hidden[part]
        alike = sum(
            ((tokens[part] == letter) & shown).astype(np.float32) @ of_known.T
            for letter, of_known in zip(letters, known_as, strict=True)
        )
        own = itself[part]
        alike[np.flatnonzero(own >= 0), own[own >= 0]] = -1
        nearest = known[alike.argmax(1)]
        right += int((nearest == tokens[part])[hidden[part]].sum())
    return right / max(int(hidden.sum()), 1)
