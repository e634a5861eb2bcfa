"""What a batch holds: reads at the places that the transformer looks at, and what the tables say of their regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ml_core.families.tissuebert.counters import key_of, uniform
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.sampler import BalancedSampler
from ml_core.families.tissuebert.tables import Tables
from ml_core.families.tissuebert.tokens import METHYLATED, NO_CPG, NOT_OBSERVED, PAD, UNK, WINDOW_BP

DROPOUT = 3  # stream of random numbers, behind those of the sampler


@dataclass(frozen=True)
class Reads:
    """Reads as the model takes them. **Shapes**, n reads, l places, t tissues, k rates: token, state, place [n, l]
    uint8 (nothing is there: token PAD and state NO_CPG); region [n] int64; n_meth, n_cov [n] float32; counts [n] bool,
    sums over many reads; n_cpg [n] float32; log_rates [n, t, k] float32, logarithms of how often a tissue's reads have
    each rate."""

    token: Tensor
    state: Tensor
    place: Tensor
    region: Tensor
    n_meth: Tensor
    n_cov: Tensor
    counts: Tensor
    n_cpg: Tensor
    log_rates: Tensor

    def __len__(self) -> int:
        return len(self.region)


@dataclass(frozen=True)
class Bags:
    """Bags of reads of one sample each. **Shapes**, n reads in b bags: weight [n] int64, how many reads alike a row
    stands for; bag [n] int64, ascending; tissue [b] int64; sample [b] int64."""

    reads: Reads
    weight: Tensor
    bag: Tensor
    tissue: Tensor
    sample: Tensor


class ReadMaker:
    """Turns rows of regions.h5 into `Reads`; `places` as in `model_settings.Sizes`."""

    def __init__(self, regions: Regions, *, places: str, use_dna: bool) -> None:
        self.regions, self.width = regions, WINDOW_BP
        tokens = regions.dna_tokens
        self._tokens = tokens if use_dna else np.where(tokens == PAD, np.uint8(PAD), np.uint8(UNK))
        self._counted = np.asarray(regions.samples["kind"] == "counts")
        self._cpgs_only = places == "cpgs"
        self._place = np.broadcast_to(np.arange(WINDOW_BP, dtype=np.uint8), self._tokens.shape)
        if self._cpgs_only:
            self.width = max(int(regions.n_cpg.max(initial=1)), 1)
            self._place = np.minimum(regions.cpg_position[:, : self.width], WINDOW_BP - 1)
            self._absent = np.arange(self.width) >= regions.n_cpg[:, None]
            known = np.take_along_axis(self._tokens, self._place.astype(np.int64), 1)
            known = np.where(known == PAD, np.uint8(UNK), known)  # the window's last C has no 3-mer of its own
            self._tokens = np.where(self._absent, np.uint8(PAD), known)

    def states(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [n, l]: states of the rows at their region's places."""
        whole = np.asarray(self.regions.states[rows])
        if not self._cpgs_only:
            return whole
        region = self.regions.row_region[rows]
        states = np.take_along_axis(whole, self._place[region].astype(np.int64), 1)
        return np.where(self._absent[region], np.uint8(NO_CPG), states)

    def make(self, rows: np.ndarray, *, log_rates: np.ndarray, hidden: np.ndarray | None = None) -> Reads:
        """Reads of rows [n]; hidden bool [n, l]: CpGs that are taken for not observed."""
        regions = self.regions
        region = regions.row_region[rows].astype(np.int64)
        token, state = self._tokens[region], self.states(rows)
        counts = self._counted[regions.row_sample[rows]]
        n_meth, n_cov = regions.n_meth[rows].astype(np.float32), regions.n_cov[rows].astype(np.float32)
        if hidden is not None:
            state = np.where(hidden & (state < NO_CPG), np.uint8(NOT_OBSERVED), state)
            n_cov = np.where(counts, n_cov, (state < NO_CPG).sum(1))
            n_meth = np.where(counts, n_meth, (state == METHYLATED).sum(1))
        return Reads(
            token=torch.from_numpy(token),
            state=torch.from_numpy(state),
            place=torch.from_numpy(np.ascontiguousarray(self._place[region])),
            region=torch.from_numpy(region),
            n_meth=torch.from_numpy(n_meth.astype(np.float32)),
            n_cov=torch.from_numpy(n_cov.astype(np.float32)),
            counts=torch.from_numpy(counts),
            n_cpg=torch.from_numpy(np.maximum(regions.n_cpg[region], 1).astype(np.float32)),
            log_rates=torch.from_numpy(log_rates),
        )


class TrainingBags:
    """Bags of random reads, other ones in each epoch, with CpGs hidden at random."""

    def __init__(
        self,
        maker: ReadMaker,
        sampler: BalancedSampler,
        tables: Tables,
        *,
        bag_reads: int,
        cpg_dropout: float,
    ) -> None:
        self.maker, self.sampler, self.tables = maker, sampler, tables
        self.bag_reads, self.cpg_dropout = bag_reads, cpg_dropout
        rows = np.diff(maker.regions.sample_offset)[sampler.samples].sum()
        self._bags = -(-int(rows) // bag_reads)

    def __len__(self) -> int:
        return self._bags

    def order(self, *, seed: int, epoch: int, size: int) -> np.ndarray:
        """A bag has no content before it is drawn: its number is enough."""
        return np.arange(size)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Bags:
        sample, rows = self.sampler.draw(indices, reads=self.bag_reads, seed=seed, epoch=epoch)
        flat = rows.ravel()
        regions = self.maker.regions
        owner = np.repeat(sample, self.bag_reads)
        log_rates = self.tables.out_of_fold(sample=owner, region=regions.row_region[flat])
        reads = self.maker.make(flat, log_rates=log_rates, hidden=self._hidden(indices, seed=seed, epoch=epoch))
        return Bags(
            reads,
            weight=torch.ones(len(flat), dtype=torch.int64),
            bag=torch.from_numpy(np.repeat(np.arange(len(indices)), self.bag_reads)),
            tissue=torch.from_numpy(regions.tissue_of_sample[sample]),
            sample=torch.from_numpy(np.asarray(sample, np.int64)),
        )

    def _hidden(self, indices: np.ndarray, *, seed: int, epoch: int) -> np.ndarray | None:
        """bool [reads, places]: a chance of its own for each CpG."""
        if self.cpg_dropout == 0:
            return None
        width = self.maker.width
        counters = indices[:, None] * (self.bag_reads * width) + np.arange(self.bag_reads * width)
        drawn = uniform(key_of(seed, epoch, DROPOUT), counters)
        hidden: np.ndarray = drawn.reshape(-1, width) < self.cpg_dropout
        return hidden


class FixedBags:
    """Every read of some samples once, `most` of a sample at most, in bags whose reads lie anywhere in their sample.

    Reads, not rows: all alike reads of a deep sample in one bag would be a bag as no sample gives it.
    """

    def __init__(
        self, maker: ReadMaker, samples: np.ndarray, tables: Tables, *, bag_reads: int, most: int | None
    ) -> None:
        self.maker, self.tables = maker, tables
        self._bags: list[tuple[np.ndarray, np.ndarray]] = []  # rows of a bag, and how often each
        for sample in samples:
            rows = maker.regions.rows_of(int(sample))
            reads = np.repeat(rows, np.maximum(maker.regions.row_count[rows], 1))
            reads = np.random.default_rng(int(sample)).permutation(reads)[:most]
            bags = max(-(-len(reads) // bag_reads), 1)
            self._bags += [np.unique(part, return_counts=True) for part in np.array_split(reads, bags) if len(part)]

    def __len__(self) -> int:
        return len(self._bags)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Bags:
        regions = self.maker.regions
        parts = [self._bags[index][0] for index in indices]
        rows, times = (np.concatenate(each) for each in zip(*(self._bags[index] for index in indices), strict=True))
        sample = regions.row_sample[[part[0] for part in parts]].astype(np.int64)
        return Bags(
            self.maker.make(rows, log_rates=self.tables.whole(regions.row_region[rows])),
            weight=torch.from_numpy(times.astype(np.int64)),
            bag=torch.from_numpy(np.repeat(np.arange(len(parts)), [len(part) for part in parts])),
            tissue=torch.from_numpy(regions.tissue_of_sample[sample]),
            sample=torch.from_numpy(sample),
        )
