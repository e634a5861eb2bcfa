"""Biology as a judge: do cells hold genes together that no cell type has together?

The scRNA-seq reference is used here and nowhere else: a model that had seen it would be judged by its own teacher.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from ml_core.families.segger.expression import sparse_counts
from ml_core.families.segger.reference import CELL_TYPE
from ml_core.families.segger.runs import pieces

SPECIFICITY = 0.6  # 1 - second best / best cell type, design/segger.md
ABSENT = 0.1  # share of its maximum below which a gene counts as absent from a type
EXPRESSED = 0.295  # least mean of a marker in its own type: with it the breast reference gives 60 genes and 1,148 pairs
CONFIDENT_TRANSCRIPTS = 20  # nuclear transcripts that a cell needs before it is given a type
CELLS_AT_ONCE = 20_000  # whose counts are dense together
CONFIDENT_MARGIN = 5.0  # nats of log-likelihood by which the first type must lead the second


@dataclass(frozen=True)
class Markers:
    """Marker genes and mutually exclusive pairs of a reference.

    means: [types, genes]. marker: [genes] bool. first, second: [pairs] gene indices. foreign: [types, genes] bool, a
    marker of another type that is absent from this one.
    """

    types: list[str]
    means: np.ndarray
    marker: np.ndarray
    first: np.ndarray
    second: np.ndarray
    foreign: np.ndarray


def type_means(path: Path, genes: list[str]) -> pd.DataFrame:
    """Mean expression [types, genes] of the checked reference; a gene that it lacks is 0, and so no marker."""
    table = pd.read_parquet(path)
    return table.groupby(CELL_TYPE, observed=True).mean().reindex(columns=genes, fill_value=0.0)


def find_markers(reference: pd.DataFrame) -> Markers:
    """Markers and pairs after the definition of mutually exclusive co-expression rate (MECR, Hartman & Satija 2024)."""
    means = reference.to_numpy(float)  # [types, genes]
    ordered = np.sort(means, axis=0)
    best = means.argmax(axis=0)
    specific = 1 - ordered[-2] / np.maximum(ordered[-1], 1e-12) > SPECIFICITY
    marker = specific & (ordered[-1] > EXPRESSED)
    absent = means < ABSENT * np.maximum(means.max(axis=0), 1e-12)
    genes = np.flatnonzero(marker)
    first, second = (grid.ravel() for grid in np.meshgrid(genes, genes, indexing="ij"))
    exclusive = (first < second) & (best[first] != best[second])
    exclusive &= absent[best[second], first] & absent[best[first], second]
    return Markers(list(reference.index), means, marker, first[exclusive], second[exclusive], marker & absent)


def confident_types(nuclear_counts: np.ndarray, markers: Markers) -> np.ndarray:
    """Cell type index [cells] by the nuclear counts' multinomial likelihood, -1 where it is not clear.

    The stain decides what a cell is, so the types are the same for every method under test.
    """
    profile = markers.means + 1e-3
    profile /= profile.sum(axis=1, keepdims=True)
    likelihood = nuclear_counts @ np.log(profile).T  # [cells, types]
    leaders = np.sort(likelihood, axis=1)
    clear = leaders[:, -1] - leaders[:, -2] > CONFIDENT_MARGIN
    enough = nuclear_counts.sum(axis=1) >= CONFIDENT_TRANSCRIPTS
    return np.where(clear & enough, likelihood.argmax(axis=1), -1)


class Judge:
    """MECR and contamination of assignments over one set of cells.

    Parameters
    ----------
    gene: gene index of each transcript, [transcripts].
    nucleus: index of the nucleus that the stain gives it, -1 for none, [transcripts].
    centre_um: centre of each nucleus, [cells, 2]; the bootstrap draws square blocks of `block_um`.

    Only transcripts of marker genes count, and dense counts are those of some cells at a time.
    """

    def __init__(
        self, gene: np.ndarray, *, nucleus: np.ndarray, centre_um: np.ndarray, markers: Markers, block_um: float = 60.0
    ) -> None:
        self.markers, cells, genes = markers, len(centre_um), markers.means.shape[1]
        nuclear = sparse_counts(nucleus, gene, labelled=nucleus >= 0, nuclei=cells, genes=genes)
        pieces = [nuclear[start : start + CELLS_AT_ONCE].toarray() for start in range(0, cells, CELLS_AT_ONCE)]
        self.cell_type = np.concatenate([confident_types(piece, markers) for piece in pieces])
        corner = np.floor((centre_um - centre_um.min(axis=0)) / block_um).astype(np.int64)
        block = np.unique(corner, axis=0, return_inverse=True)[1].reshape(-1)  # [cells]
        self._by_block = np.argsort(block, kind="stable")  # cells
        self._place = np.argsort(self._by_block, kind="stable")  # [cells] place among these
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(block))])  # [blocks + 1]

        marked = np.flatnonzero(markers.marker)
        column = np.zeros(genes, np.int32)
        column[marked] = np.arange(len(marked))
        self._transcripts = np.flatnonzero(markers.marker[gene])
        self._column = column[gene[self._transcripts]]
        self._first, self._second = column[markers.first], column[markers.second]
        self._foreign_to = markers.foreign[:, marked]

    def measure(self, cell: np.ndarray, *, of: np.ndarray | None = None) -> dict[str, float]:
        """MECR and contamination of `cell` [transcripts] (-1: none); `of` [cells] restricts both to some cells.

        MECR: mean over pairs of the share of cells with both genes among those with either. Contamination: share of the
        marker transcripts in confident cells whose gene is foreign to the cell's type.
        """
        both, single, foreign, marked = self._tally(cell, of=of, by_block=False)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "mecr": float(self._mecr(both.astype(np.float32), single.astype(np.float32))[0]),
                "contamination": float(foreign.sum() / marked.sum()) if marked.sum() else float("nan"),
            }

    def bootstrap(self, cell: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
        """MECR and contamination over `draws` resamplings of spatial blocks, [draws, 2].

        Equal seeds draw equal blocks, so that two assignments can be compared draw by draw.
        """
        both, single, foreign, marked = self._tally(cell, of=None, by_block=True)
        blocks = len(both)
        weights = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            mecr = self._mecr(weights @ both, weights @ single)
            return np.stack([mecr, (weights @ foreign) / (weights @ marked)], axis=1)

    def _tally(
        self, cell: np.ndarray, *, of: np.ndarray | None, by_block: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of each block, or of all: cells with both genes of each pair [b, pairs] and with each gene [b, genes];
        foreign and marker transcripts of the cells of a clear type [b].
        """
        counts = self._counts(cell if of is None else np.where((cell >= 0) & of[cell], cell, -1))
        types = self.cell_type[self._by_block]
        parts = []
        for first, last in pieces(np.diff(self._starts), most=CELLS_AT_ONCE):  # whole blocks
            start, end = self._starts[first], self._starts[last]
            dense = counts[start:end].toarray()
            has = (dense > 0).astype(np.float32)
            inside = dense * (types[start:end] >= 0)[:, None]
            per_cell = (inside * self._foreign_to[types[start:end]]).sum(axis=1), inside.sum(axis=1)
            borders = self._starts[first : last + 1] - start if by_block else np.array([0, end - start])
            both = np.stack([self._pairs(has[a:b]) for a, b in pairwise(borders)])
            summed = [np.add.reduceat(values, borders[:-1], axis=0) for values in (has, *per_cell)]
            parts.append((both.astype(float), *(values.astype(float) for values in summed)))
        found = [np.concatenate(part) for part in zip(*parts, strict=True)]
        both, single, foreign, marked = found if by_block else [values.sum(axis=0, keepdims=True) for values in found]
        return both, single, foreign, marked

    def _counts(self, cell: np.ndarray) -> sparse.csr_matrix:
        """Transcripts of marker genes of each cell, the cells block by block, [cells, marker genes]."""
        at = cell[self._transcripts]
        there = at >= 0
        places = (self._place[at[there]], self._column[there])
        shape = (len(self._place), self._foreign_to.shape[1])
        return sparse.csr_matrix((np.ones(len(places[0]), np.int32), places), shape=shape)

    def _pairs(self, has: np.ndarray) -> np.ndarray:
        """Number of cells with both genes of each pair [pairs]; has [cells, genes] 0 or 1, float32."""
        return (has.T @ has)[self._first, self._second]  # type: ignore[no-any-return]

    def _mecr(self, both: np.ndarray, single: np.ndarray) -> np.ndarray:
        """[draws] from `both` [draws, pairs] and `single` [draws, genes]; pairs in no cell do not count."""
        either = single[:, self._first] + single[:, self._second] - both
        return np.nanmean(np.where(either > 0, both / either, np.nan), axis=1)  # type: ignore[no-any-return]


def keep_share(cell: np.ndarray, score: np.ndarray, share: float) -> np.ndarray:
    """`cell` [transcripts] with only the best-scored `share` of all transcripts kept; ties by row."""
    score = np.where(cell >= 0, score, -np.inf)
    kept = np.argsort(-score, kind="stable")[: round(share * len(cell))]
    chosen = np.full_like(cell, -1)
    chosen[kept] = cell[kept]
    return chosen
