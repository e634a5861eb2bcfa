"""What a fragment in a region tells of its tissue: shares of U, X and M fragments by tissue, and their information."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.hdf5_writer import Rows

CLASSES = 3
U_AT_MOST, M_AT_LEAST = 0.25, 0.75  # share of methylated CpGs, as in the U/X/M atlases of cell types
PSEUDO = 4.0  # fragments of all tissues alike that are added to each tissue, so that few fragments tell little


def class_counts(rows: Rows, *, regions: int, kind: str) -> np.ndarray:
    """float64 [regions, 3]: fragments of a sample that are mostly unmethylated, mixed, and mostly methylated.

    Of counts (kind "counts") no fragment is known: a CpG's reads count as fragments, divided by the CpGs.
    """
    found = np.zeros((regions, CLASSES))
    if kind == "counts":
        observed = np.maximum((rows.states < 2).sum(axis=1), 1)
        found[rows.region, 0] = (rows.n_cov - rows.n_meth) / observed
        found[rows.region, 2] = rows.n_meth / observed
        return found
    share = rows.n_meth / np.maximum(rows.n_cov, 1)
    letter = np.where(share <= U_AT_MOST, 0, np.where(share >= M_AT_LEAST, 2, 1))
    np.add.at(found, (rows.region, letter), rows.count)
    return found


def shares(counts: np.ndarray) -> np.ndarray:
    """[tissues, regions, 3] shares of the classes from their counts [tissues, regions, 3], drawn a little together."""
    whole = counts.sum(axis=0, keepdims=True) + 1.0 / CLASSES
    alike = whole / whole.sum(axis=2, keepdims=True)
    mixed: np.ndarray = counts + PSEUDO * alike
    found: np.ndarray = mixed / mixed.sum(axis=2, keepdims=True)
    return found


def information(of_tissue: np.ndarray) -> np.ndarray:
    """bits [regions, tissues] that a fragment's class tells of "this tissue or one of the others", at even odds.

    `of_tissue` [tissues, regions, 3] has each tissue's shares; the others are their mean. Even odds (the
    Jensen-Shannon divergence) make tissues comparable, however many there are.
    """
    count = len(of_tissue)
    others = (of_tissue.sum(axis=0, keepdims=True) - of_tissue) / max(count - 1, 1)
    between = (of_tissue + others) / 2
    bits: np.ndarray = entropy(between) - (entropy(of_tissue) + entropy(others)) / 2
    found: np.ndarray = np.maximum(bits, 0).T
    return found


def entropy(of_class: np.ndarray) -> np.ndarray:
    """bits [...] of shares [..., 3]."""
    found: np.ndarray = -(of_class * np.log2(np.maximum(of_class, 1e-300))).sum(axis=-1)
    return found


def choose(bits: np.ndarray, *, count: int) -> np.ndarray:
    """Numbers of `count` regions, ascending: tissues take turns in taking the most telling one that is left."""
    regions, tissues = bits.shape
    if count >= regions:
        return np.arange(regions)
    ranked = np.argsort(-bits, axis=0, kind="stable")
    place = np.zeros(tissues, int)
    taken = np.zeros(regions, bool)
    for turn in range(count):
        tissue = turn % tissues
        while taken[ranked[place[tissue], tissue]]:
            place[tissue] += 1
        taken[ranked[place[tissue], tissue]] = True
    return np.flatnonzero(taken)
