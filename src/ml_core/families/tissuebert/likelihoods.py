"""How likely a read is in each tissue: per region a mixture of methylation rates, learnt from training donors.

A read with k of n observed CpGs methylated comes from one of `RATES`, and a tissue is how often each rate occurs in a
region. That is the U/X/M description of fragments (Loyfer et al., Nature 2023) with soft classes: it needs no least
number of CpGs, and a read of one CpG says as little as it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.special import gammaln

from ml_core.errors import UserError
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.shrinkage import shrink

RATES = np.array([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])  # chance that a CpG of a read is methylated
CLASS = np.eye(3)[[0, 0, 1, 1, 1, 2, 2]]  # [rates, classes]: unmethylated, mixed, methylated
REGION_READS = 20.0  # by so many reads the rates of a region are drawn towards those of all regions
ROUNDS = 40
SMALLEST = 1e-30


@dataclass(frozen=True)
class LikelihoodTables:
    """How often a read of a tissue has each of `RATES`.

    **Shapes**: weights [regions, tissues, rates], summing to 1 over rates; reads [regions, tissues], the effective
    number of training reads behind them; tissues: their names.
    """

    weights: np.ndarray
    reads: np.ndarray
    tissues: list[str]

    @cached_property
    def means(self) -> np.ndarray:
        """Expected share of methylated CpGs, [regions, tissues]."""
        expected: np.ndarray = self.weights @ RATES
        return expected

    def log_likelihood(self, region: np.ndarray, n_meth: np.ndarray, n_cov: np.ndarray) -> np.ndarray:
        """log p(n_meth of n_cov | tissue, region) of reads [m]: float32 [m, tissues]."""
        return mixture_log_likelihood(self.weights, region, n_meth, n_cov)

    def without(self, tissue: str) -> LikelihoodTables:
        """The tables as if nobody had known `tissue`."""
        keep = np.array([name != tissue for name in self.tissues])
        names = [name for name in self.tissues if name != tissue]
        return LikelihoodTables(self.weights[:, keep], self.reads[:, keep], names)


def mixture_log_likelihood(
    weights: np.ndarray, region: np.ndarray, n_meth: np.ndarray, n_cov: np.ndarray
) -> np.ndarray:
    """log p of reads [m] under weights [regions, profiles, rates] of their region: float32 [m, profiles]."""
    pairs, inverse = np.unique(np.stack([n_meth, n_cov]).astype(np.int64), axis=1, return_inverse=True)
    binomial = rate_likelihood(*pairs)[inverse.ravel()]  # [m, rates]
    found = np.empty((len(region), weights.shape[1]), np.float32)
    for rows in _blocks(len(region)):
        chance = np.einsum("mtc,mc->mt", weights[region[rows]], binomial[rows])
        found[rows] = np.log(np.maximum(chance, SMALLEST))
    return found


def rate_likelihood(n_meth: np.ndarray, n_cov: np.ndarray) -> np.ndarray:
    """Binomial probability of n_meth of n_cov [m] at each of `RATES`, [m, rates]."""
    k, n = np.asarray(n_meth, float)[:, None], np.asarray(n_cov, float)[:, None]
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    chance: np.ndarray = np.exp(ways + k * np.log(RATES) + (n - k) * np.log1p(-RATES))
    return chance


def fit_likelihoods(regions: Regions, samples: np.ndarray, *, donor_correlation: float = 0.02) -> LikelihoodTables:
    """Tables from the reads of `samples` (numbers of training samples).

    donor_correlation: n reads of one donor in one region count as n / (1 + (n - 1) * correlation), for donors differ
    and a deep one tells of itself only; copies of a donor at other depths add nothing beyond that.
    UserError where no sample has reads.
    """
    rows = np.concatenate([regions.rows_of(each) for each in samples]) if len(samples) else np.zeros(0, np.int64)
    if not len(rows) or not regions.n_cov[rows].any():
        raise UserError(f"{regions.path}: no training sample has reads in the panel; look at splits and regions.")
    cells = _Cells.of(regions, rows, donor_correlation=donor_correlation)
    return _fit(cells, regions=len(regions.n_cpg), tissues=list(regions.tissues["name"]))


def split_counts(regions: Regions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows as reads: their numbers among `rows`, n_meth, n_cov and how often each occurs.

    A row of a read stands for itself. A row of summed counts knows no reads: it becomes a methylated and an
    unmethylated read of one CpG, which together weigh n_cov / n_cpg, for the CpGs of a real read go together.
    """
    counts = np.asarray(regions.samples["kind"] == "counts")[regions.row_sample[rows]]
    place, of_counts = np.flatnonzero(~counts), np.flatnonzero(counts)
    k, n = (np.asarray(field)[rows].astype(float) for field in (regions.n_meth, regions.n_cov))
    per_cpg = 1 / np.maximum(np.asarray(regions.n_cpg)[regions.row_region[rows[of_counts]]], 1)
    ones, zeros = np.ones(len(of_counts)), np.zeros(len(of_counts))
    methylated, other = k[of_counts] * per_cpg, (n - k)[of_counts] * per_cpg
    found = (
        np.concatenate([place, of_counts, of_counts]),
        np.concatenate([k[place], ones, zeros]),
        np.concatenate([n[place], ones, ones]),
        np.concatenate([np.asarray(regions.row_count)[rows[place]], methylated, other]),
    )
    known = (found[2] > 0) & (found[3] > 0)
    return found[0][known], found[1][known], found[2][known], found[3][known]


@dataclass(frozen=True)
class _Cells:
    """Reads that are alike, counted: cell [m] = region * tissues + tissue, n_meth, n_cov and weight [m]."""

    cell: np.ndarray
    binomial: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, regions: Regions, rows: np.ndarray, *, donor_correlation: float) -> _Cells:
        place, k, n, weight = split_counts(regions, rows)
        sample, region = regions.row_sample[rows[place]], regions.row_region[rows[place]].astype(np.int64)
        tissue = regions.tissue_of_sample[sample]
        donor = np.unique(regions.samples["donor"].astype(str), return_inverse=True)[1][sample]
        owner = np.unique(np.stack([donor, tissue, region]), axis=1, return_inverse=True)[1].ravel()
        total = np.bincount(owner, weight)[owner]
        weight = weight / np.maximum(1 + (total - 1) * donor_correlation, 1)
        cell = region * len(regions.tissues) + tissue
        kept = tissue >= 0
        keys, inverse = np.unique(np.stack([cell, k, n])[:, kept].astype(np.int64), axis=1, return_inverse=True)
        return cls(keys[0], rate_likelihood(keys[1], keys[2]), np.bincount(inverse.ravel(), weight[kept]))


def _fit(cells: _Cells, *, regions: int, tissues: list[str]) -> LikelihoodTables:
    """Rates within a class are those of the region, of all tissues together, and only the classes' shares are a
    tissue's own: with a share for each rate, noise in the shares of rates that are alike passes for information."""
    count = len(tissues)
    one = np.zeros(len(cells.cell), np.int64)
    everywhere = _rounds(cells.binomial, cells.weight, one, cells=1, prior=1 / len(RATES))
    region = cells.cell // count
    rates = _rounds(cells.binomial, cells.weight, region, cells=regions, prior=REGION_READS * everywhere)
    classes = rates @ CLASS  # [regions, classes]
    within = rates / (classes @ CLASS.T)  # [regions, rates], summing to 1 in each class
    of_class = (cells.binomial * within[region]) @ CLASS  # [m, classes]
    prior = np.repeat(classes, count, axis=0)
    shares = _rounds(of_class, cells.weight, cells.cell, cells=regions * count, prior=prior)
    counts = _counted(of_class, cells.weight, cells.cell, shares).reshape(regions, count, -1)
    weights = (shrink(counts) @ CLASS.T) * within[:, None]
    reads = np.bincount(cells.cell, cells.weight, minlength=regions * count)
    return LikelihoodTables(weights, reads.reshape(regions, count), tissues)


def _rounds(
    likelihood: np.ndarray, weight: np.ndarray, cell: np.ndarray, *, cells: int, prior: np.ndarray | float
) -> np.ndarray:
    """Shares [cells, kinds] that explain reads (likelihood [m, kinds]), `prior` being reads seen before."""
    kinds = likelihood.shape[1]
    found = np.full((cells, kinds), 1 / kinds)
    for _ in range(ROUNDS):
        found = _counted(likelihood, weight, cell, found) + prior
        found /= found.sum(1, keepdims=True)
    return found


def _counted(likelihood: np.ndarray, weight: np.ndarray, cell: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """How many reads of each cell are of each kind, [cells, kinds], given the cells' shares."""
    share = shares[cell] * likelihood
    share *= (weight / np.maximum(share.sum(1), SMALLEST))[:, None]
    return np.stack([np.bincount(cell, each, minlength=len(shares)) for each in share.T], axis=1)


def save_tables(path: Path, tables: LikelihoodTables) -> None:
    np.savez(path, weights=tables.weights, reads=tables.reads, tissues=np.array(tables.tissues, np.str_))


def load_tables(path: Path) -> LikelihoodTables:
    """Tables that `save_tables` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return LikelihoodTables(stored["weights"], stored["reads"], [str(name) for name in stored["tissues"]])


def _blocks(rows: int, size: int = 65_536) -> list[slice]:
    return [slice(start, start + size) for start in range(0, rows, size)]
