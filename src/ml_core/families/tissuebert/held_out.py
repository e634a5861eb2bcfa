"""Reads of held-out donors, scored once, from which mixtures are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.hdf5 import Regions

Score = Callable[[np.ndarray], np.ndarray]  # rows [m] -> log likelihoods up to a constant for each row [m, tissues]


@dataclass(frozen=True)
class Donor:
    """One sample with reads. depth [regions]: how many it has in each region."""

    tissue: int
    reads: Reads
    depth: np.ndarray

    def thinned(self, wanted: np.ndarray, *, rng: np.random.Generator) -> Reads:
        """Reads drawn without replacement, on average `wanted` [regions] (at most `depth`) of each region."""
        chance = np.minimum(wanted / np.maximum(self.depth, 1), 1)
        times = rng.binomial(self.reads.weight.astype(np.int64), chance[self.reads.region])
        kept = np.flatnonzero(times)
        return replace(self.reads.taken(kept), weight=times[kept].astype(float))


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
    return Donor(
        int(regions.tissue_of_sample[sample]), reads, np.bincount(region, reads.weight, minlength=len(regions.n_cpg))
    )
