"""Reads as rows of regions: CpGs at their places in each window, alike reads of a sample in one row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.hdf5_writer import Rows
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.tokens import METHYLATED, NO_CPG, NOT_OBSERVED, UNMETHYLATED, cpg_certain


class HasWindows(Protocol):
    """What rows need to know of the regions: `windows.Windows`, a panel, or an open `hdf5.Regions`."""

    @property
    def dna_tokens(self) -> np.ndarray: ...
    @property
    def cpg_position(self) -> np.ndarray: ...
    @property
    def n_cpg(self) -> np.ndarray: ...


@dataclass(frozen=True)
class CpgStates:
    """Reads by CpG: region [k] int64; states [k, most CpGs] uint8, 3 where not observed; count [k] int64."""

    region: np.ndarray
    states: np.ndarray
    count: np.ndarray

    def __len__(self) -> int:
        return len(self.region)


def overlaps(
    start_cpg: np.ndarray, state: np.ndarray, length: np.ndarray, count: np.ndarray, *, windows: Numbered
) -> CpgStates:
    """Reads [n] from CpG `start_cpg` on with `length` states each, cut to the windows that they touch."""
    low = np.searchsorted(windows.end_cpg, start_cpg, side="right")
    high = np.searchsorted(windows.start_cpg, start_cpg + length, side="left")
    touched = np.maximum(high - low, 0)
    read = np.repeat(np.arange(len(start_cpg)), touched)
    within = np.arange(len(read)) - np.repeat(np.cumsum(touched) - touched, touched)
    window = low[read] + within
    first = windows.start_cpg[window] - start_cpg[read]
    place = first[:, None] + np.arange(windows.most)
    inside = (place >= 0) & (place < length[read, None]) & (np.arange(windows.most) < windows.n_cpg[window, None])
    offset = (np.cumsum(length) - length)[read]
    found = np.full(place.shape, NOT_OBSERVED, np.uint8)
    found[inside] = state[(offset[:, None] + place)[inside]]
    return CpgStates(windows.order[window], found, count[read])


@dataclass(frozen=True)
class Numbered:
    """Windows in the order of their CpG numbers: start_cpg, end_cpg, n_cpg [n] int64; order [n], their own numbers."""

    start_cpg: np.ndarray
    end_cpg: np.ndarray
    n_cpg: np.ndarray
    order: np.ndarray
    most: int

    @classmethod
    def of(cls, frame: pd.DataFrame, *, most: int) -> Numbered:
        order = np.argsort(frame["start_cpg"].to_numpy(), kind="stable")
        start, end = (frame[name].to_numpy(np.int64)[order] for name in ("start_cpg", "end_cpg"))
        return cls(start, end, end - start, order, most)


def merged(parts: Iterable[CpgStates], *, windows: HasWindows, min_observed: int) -> Rows:
    """Rows of a sample from its reads: those with at least `min_observed` CpGs, alike ones in one, by region."""
    kept = [_distinct(_enough(part, min_observed=min_observed)) for part in parts]
    whole = _distinct(
        CpgStates(
            np.concatenate([np.zeros(0, np.int64), *(part.region for part in kept)]),
            np.concatenate([np.zeros((0, windows.cpg_position.shape[1]), np.uint8), *(part.states for part in kept)]),
            np.concatenate([np.zeros(0, np.int64), *(part.count for part in kept)]),
        )
    )
    n_meth = (whole.states == METHYLATED).sum(axis=1)
    n_cov = n_meth + (whole.states == UNMETHYLATED).sum(axis=1)
    return Rows(whole.region, placed(whole, windows=windows), whole.count, n_meth, n_cov)


def counted(meth: np.ndarray, cov: np.ndarray, *, windows: HasWindows, min_observed: int) -> Rows:
    """Rows from counts by CpG [regions, most CpGs]: one for each region with `min_observed` CpGs covered.

    States are the majority's; n_meth and n_cov are summed over the CpGs.
    """
    covered = cov > 0
    region = np.flatnonzero(covered.sum(axis=1) >= min_observed)
    majority = np.where(2 * meth >= cov, METHYLATED, UNMETHYLATED)
    states = np.where(covered, majority, NOT_OBSERVED).astype(np.uint8)[region]
    whole = CpgStates(region, states, np.ones(len(region), np.int64))
    n_meth, n_cov = meth[region].sum(axis=1), cov[region].sum(axis=1)
    return Rows(region, placed(whole, windows=windows), whole.count, n_meth, n_cov)


def placed(reads: CpgStates, *, windows: HasWindows) -> np.ndarray:
    """uint8 [k, 150]: the states at their CpGs' places; elsewhere 3 at CpGs that are not the region's, and 2."""
    places = windows.cpg_position[reads.region]
    empty = np.where(cpg_certain(windows.dna_tokens), NOT_OBSERVED, NO_CPG).astype(np.uint8)
    out = empty[reads.region]
    there = places != NO_PLACE
    out[np.nonzero(there)[0], places[there]] = reads.states[there]
    return out


def _enough(reads: CpgStates, *, min_observed: int) -> CpgStates:
    kept = (reads.states < NO_CPG).sum(axis=1) >= min_observed
    return CpgStates(reads.region[kept], reads.states[kept], reads.count[kept])


def _distinct(reads: CpgStates) -> CpgStates:
    """Alike reads in one, sorted by region and then by their states."""
    if not len(reads):
        return reads
    keys = np.concatenate([reads.region.astype(">i8").view(np.uint8).reshape(-1, 8), reads.states], axis=1)
    as_bytes = np.ascontiguousarray(keys).view(f"V{keys.shape[1]}").ravel()
    _, first, back = np.unique(as_bytes, return_index=True, return_inverse=True)
    return CpgStates(reads.region[first], reads.states[first], np.bincount(back, reads.count).astype(np.int64))
