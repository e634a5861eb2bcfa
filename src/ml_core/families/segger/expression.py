"""What a nucleus' genes say: smoothed profiles, and how likely a transcript's gene is under them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

from ml_core.families.segger.stray import own_share

FITS_BEST = 0.99


@dataclass(frozen=True)
class Profiles:
    """p(gene | nucleus), pooled over the nucleus and the nuclei most like it.

    **Shapes**, m nuclei, g genes: members [m, k] int32, the nuclei pooled for each, itself first, -1 padded; own [m, g]
    float32, the share of a nucleus' transcripts of a gene that counts as its own; sums [m, g] float32, the members' own
    transcripts plus the prior; background [g], the sample's own p(gene).
    """

    members: np.ndarray
    own: np.ndarray
    sums: np.ndarray
    background: np.ndarray

    @classmethod
    def of(
        cls,
        counts: np.ndarray,
        *,
        neighbours: int,
        prior: float,
        components: int,
        bank: np.ndarray | None = None,
        around: np.ndarray | None = None,
        stray_share: float = 0.0,
    ) -> Self:
        """Pool each nucleus with its `neighbours` - 1 nearest in the SVD of log shares.

        counts: nuclear transcripts [m, g]. prior: pseudo-transcripts with the background's profile. bank: [m] bool, the
        nuclei that may be pooled with others (all by default): a model in training sees its own split only. around:
        transcripts around each nucleus [m, g], whose profile makes up `stray_share` of the counts (`stray.own_share`).
        """
        m, g = counts.shape
        bank_rows = np.arange(m) if bank is None else np.flatnonzero(bank)
        background = _frequencies(counts[bank_rows])
        share = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 100)
        embedded = share
        if g > 1:
            svd = TruncatedSVD(max(1, min(components, g - 1, len(bank_rows) - 1)), random_state=0)
            svd.fit(share[bank_rows])
            embedded = svd.transform(share)
        members = _itself_and_nearest(embedded, bank_rows=bank_rows, count=min(neighbours, len(bank_rows)))
        rows = np.repeat(np.arange(m), members.shape[1])[members.ravel() >= 0]
        pooling = sparse.csr_matrix((np.ones(len(rows)), (rows, members[members >= 0])), shape=(m, m))
        own = np.ones(counts.shape, np.float32)
        if around is not None:
            own = own_share(counts, pooling=pooling, around=around, background=background, stray_share=stray_share)
            background = _frequencies((counts * own)[bank_rows])
        sums = pooling @ sparse.csr_matrix(counts * own, dtype=np.float64)
        return cls(members, own, (sums.toarray() + prior * background).astype(np.float32), background)

    @cached_property
    def totals(self) -> np.ndarray:
        """[m] transcripts and prior of each profile."""
        return self.sums.sum(axis=1)  # type: ignore[no-any-return]

    @cached_property
    def ratio(self) -> np.ndarray:
        """log p(gene | nucleus) / p(gene), [m, g] float32, nats."""
        return np.log(self.sums / self.totals[:, None] / self.background).astype(np.float32)  # type: ignore[no-any-return]

    @cached_property
    def best_ratio(self) -> np.ndarray:
        """Log ratio of each gene in the nuclei that it fits best (99th percentile: no single one decides), [g]."""
        return np.quantile(self.ratio, FITS_BEST, axis=0).astype(np.float32)  # type: ignore[no-any-return]

    def ratio_of(self, gene: np.ndarray, candidates: np.ndarray, *, counted_in: np.ndarray) -> np.ndarray:
        """The same for each transcript and candidate, [n, k] float32; 0 where there is no candidate.

        gene [n], candidates [n, k] (-1 padded). A transcript counted in nucleus `counted_in` [n] (-1: in none) is taken
        out of every profile that it is part of: otherwise a stray transcript vouches for itself.
        """
        at, part = candidates.clip(0), self._part(gene, candidates, counted_in)
        sums = np.maximum(self.sums[at, gene[:, None]] - part, 1e-6)
        ratio = np.log(sums / (self.totals[at] - part) / self.background[gene][:, None])
        return np.where(candidates >= 0, ratio, 0).astype(np.float32)

    def taken_out(
        self, gene: np.ndarray, candidates: np.ndarray, *, counted_in: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What taking a transcript out of the profile adds to the log ratio of its gene and of others; [n, k] each."""
        at, part = candidates.clip(0), self._part(gene, candidates, counted_in)
        own = self.ratio_of(gene, candidates, counted_in=counted_in) - self.ratio[at, gene[:, None]]
        other = np.log(self.totals[at] / (self.totals[at] - part)).astype(np.float32)
        return np.where(part > 0, own, 0), np.where(part > 0, other, 0)

    def _part(self, gene: np.ndarray, candidates: np.ndarray, counted_in: np.ndarray) -> np.ndarray:
        """How much of each transcript is in each candidate's profile, [n, k]: its own share where its nucleus is in."""
        there = (candidates >= 0) & (counted_in >= 0)[:, None]
        there &= (self.members[candidates.clip(0)] == counted_in[:, None, None]).any(axis=2)
        return np.where(there, self.own[counted_in.clip(0), gene][:, None], np.float32(0))


def nuclear_counts(
    nucleus: np.ndarray, gene: np.ndarray, *, labelled: np.ndarray, nuclei: int, genes: int
) -> np.ndarray:
    """Transcripts of each nucleus by gene, [nuclei, genes]; only the `labelled` [n] ones count."""
    flat = nucleus[labelled].astype(np.int64) * genes + gene[labelled]
    return np.bincount(flat, minlength=nuclei * genes).reshape(nuclei, genes)


def _frequencies(counts: np.ndarray) -> np.ndarray:
    """p(gene) over all nuclei [g], with one transcript of each gene more than there are."""
    total = counts.sum(axis=0) + 1.0
    return total / total.sum()  # type: ignore[no-any-return]


def _itself_and_nearest(embedded: np.ndarray, *, bank_rows: np.ndarray, count: int) -> np.ndarray:
    """[m, count] int32: each nucleus, then its nearest others of the bank; -1 where there are fewer."""
    search = NearestNeighbors(n_neighbors=min(count, len(bank_rows))).fit(embedded[bank_rows])
    found = bank_rows[search.kneighbors(embedded, return_distance=False)]
    own = np.arange(len(embedded))[:, None]
    order = np.argsort(found == own, axis=1, kind="stable")  # itself, where found, to the end
    others = np.take_along_axis(found, order, axis=1)[:, : count - 1]
    return np.concatenate([own, others], axis=1).astype(np.int32)
