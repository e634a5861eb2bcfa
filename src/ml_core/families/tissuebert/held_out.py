"""Reads of held-out donors, scored once, from which mixtures are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.hdf5 import Regions

Score = Callable[[np.ndarray], np.ndarray]  # rows [m] -> log likelihoods up to a constant for each row [m, tissues]


@dataclass(frozen=True)
class Donor:
    """One sample with reads. rows [m], sorted by region; first [regions + 1]: first of each region's rows among them;
    ends [m]: running sum of how often the rows occur; scores [m, tissues] or None."""

    tissue: int
    reads: Reads
    first: np.ndarray
    ends: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """bool [regions]."""
        found: np.ndarray = np.diff(self.first) > 0
        return found

    def draw(self, counts: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        """Numbers of rows, `counts` [regions] from each region with replacement, each as often as it occurs."""
        region = np.repeat(np.arange(len(counts)), counts)
        before = np.concatenate([[0.0], self.ends])[self.first]
        low, high = before[region], before[region + 1]
        found = np.searchsorted(self.ends, low + rng.random(len(region)) * (high - low), side="right")
        return np.minimum(found, self.first[region + 1] - 1)


def held_out(regions: Regions, samples: np.ndarray, *, score: Score | None) -> list[Donor]:
    """The deepest sample with reads of each donor and tissue among `samples`; copies and counts are no donors."""
    frame = regions.samples.iloc[samples].assign(number=samples)
    frame = frame[(frame["kind"] == "reads") & ~frame["synthetic"].astype(bool) & (frame["tissue"] != "")]
    deepest = frame.sort_values("coverage", ascending=False).drop_duplicates(["donor", "tissue"]).sort_values("number")
    return [_donor(regions, int(number), score=score) for number in deepest["number"]]


def unique_scores(regions: Regions, rows: np.ndarray, score: Score) -> np.ndarray:
    """Scores [m, tissues] of rows, each different read of a region asked for once."""
    keys = np.concatenate(
        [np.asarray(regions.row_region)[rows].astype(np.int32).view(np.uint8).reshape(-1, 4), regions.states[rows]],
        axis=1,
    )
    whole = np.ascontiguousarray(keys).view(f"V{keys.shape[1]}").ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return np.asarray(score(rows[first]), np.float32)[inverse.ravel()]


def _donor(regions: Regions, sample: int, *, score: Score | None) -> Donor:
    rows = regions.rows_of(sample)
    rows = rows[np.asarray(regions.n_cov)[rows] > 0]
    region = np.asarray(regions.row_region)[rows].astype(np.int64)
    reads = Reads(
        region,
        np.asarray(regions.n_meth)[rows].astype(np.int64),
        np.asarray(regions.n_cov)[rows].astype(np.int64),
        np.asarray(regions.row_count)[rows].astype(float),
        None if score is None else unique_scores(regions, rows, score),
    )
    first = np.searchsorted(region, np.arange(len(regions.n_cpg) + 1))
    return Donor(int(regions.tissue_of_sample[sample]), reads, first, np.cumsum(reads.weight))
