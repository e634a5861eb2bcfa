"""Biology as a judge: do cells hold genes together that no cell type has together?

The scRNA-seq reference is used here and nowhere else: a model that had seen it would be judged by its own teacher.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.families.segger.reference import CELL_TYPE

SPECIFICITY = 0.6  # 1 - second best / best cell type, design/segger.md
ABSENT = 0.1  # share of its maximum below which a gene counts as absent from a type
EXPRESSED = 0.295  # least mean of a marker in its own type: with it the breast reference gives 60 genes and 1,148 pairs
CONFIDENT_TRANSCRIPTS = 20  # nuclear transcripts that a cell needs before it is given a type
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


def count_matrix(cell: np.ndarray, gene: np.ndarray, *, cells: int, genes: int) -> np.ndarray:
    """Counts [cells, genes] of transcripts with `cell` >= 0; `cell`, `gene`: [transcripts]."""
    there = cell >= 0
    flat = np.bincount(cell[there].astype(np.int64) * genes + gene[there], minlength=cells * genes)
    return flat.reshape(cells, genes)


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
    """

    def __init__(
        self, gene: np.ndarray, *, nucleus: np.ndarray, centre_um: np.ndarray, markers: Markers, block_um: float = 60.0
    ) -> None:
        self.gene, self.markers = gene, markers
        self.cells, self.genes = len(centre_um), markers.means.shape[1]
        nuclear = count_matrix(nucleus, gene, cells=self.cells, genes=self.genes)
        self.cell_type = confident_types(nuclear, markers)
        corner = np.floor((centre_um - centre_um.min(axis=0)) / block_um).astype(np.int64)
        self.block = np.unique(corner, axis=0, return_inverse=True)[1].reshape(-1)  # [cells]

    def counts(self, cell: np.ndarray) -> np.ndarray:
        return count_matrix(cell, self.gene, cells=self.cells, genes=self.genes)

    def measure(self, cell: np.ndarray, *, of: np.ndarray | None = None) -> dict[str, float]:
        """MECR and contamination of `cell` [transcripts] (-1: none); `of` [cells] restricts both to some cells.

        MECR: mean over pairs of the share of cells with both genes among those with either. Contamination: share of the
        marker transcripts in confident cells whose gene is foreign to the cell's type.
        """
        counts = self.counts(cell) if of is None else self.counts(cell)[of]
        types = self.cell_type if of is None else self.cell_type[of]
        both, single = self._together(counts)
        foreign, marked = self._foreign(counts, types)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "mecr": float(self._mecr(both[None], single[None])[0]),
                "contamination": float(foreign.sum() / marked.sum()) if marked.sum() else float("nan"),
            }

    def bootstrap(self, cell: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
        """MECR and contamination over `draws` resamplings of spatial blocks, [draws, 2].

        Equal seeds draw equal blocks, so that two assignments can be compared draw by draw.
        """
        counts, blocks = self.counts(cell), self.block.max() + 1
        parts = [self._together(counts[self.block == block]) for block in range(blocks)]
        both, single = (np.stack(part).astype(float) for part in zip(*parts, strict=True))
        foreign, marked = self._foreign(counts, self.cell_type)
        foreign = np.bincount(self.block, foreign, minlength=blocks)
        marked = np.bincount(self.block, marked, minlength=blocks)
        weights = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            mecr = self._mecr(weights @ both, weights @ single)
            return np.stack([mecr, (weights @ foreign) / (weights @ marked)], axis=1)

    def _together(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of cells with both genes of each pair [pairs], and with each gene [genes]."""
        has = (counts > 0).astype(np.float32)
        both = has.T @ has
        return both[self.markers.first, self.markers.second], has.sum(axis=0)

    def _mecr(self, both: np.ndarray, single: np.ndarray) -> np.ndarray:
        """[draws] from `both` [draws, pairs] and `single` [draws, genes]; pairs in no cell do not count."""
        either = single[:, self.markers.first] + single[:, self.markers.second] - both
        return np.nanmean(np.where(either > 0, both / either, np.nan), axis=1)  # type: ignore[no-any-return]

    def _foreign(self, counts: np.ndarray, types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Foreign and marker transcripts of each cell, [cells] each; 0 in cells without a clear type."""
        marked = counts * self.markers.marker * (types >= 0)[:, None]
        return (marked * self.markers.foreign[types]).sum(axis=1), marked.sum(axis=1)


def keep_share(cell: np.ndarray, score: np.ndarray, share: float) -> np.ndarray:
    """`cell` [transcripts] with only the best-scored `share` of all transcripts kept; ties by row."""
    score = np.where(cell >= 0, score, -np.inf)
    kept = np.argsort(-score, kind="stable")[: round(share * len(cell))]
    chosen = np.full(len(cell), -1, dtype=np.int64)
    chosen[kept] = cell[kept]
    return chosen
