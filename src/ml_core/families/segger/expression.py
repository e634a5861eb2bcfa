"""What a nucleus' genes say: smoothed profiles, and how likely a transcript's gene is under them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

FITS_BEST = 0.99


@dataclass(frozen=True)
class Profiles:
    """p(gene | nucleus), pooled over the nucleus and the nuclei most like it.

    **Shapes**, m nuclei, g genes: members [m, k] int32, the nuclei pooled for each, itself first, -1 padded; sums [m,
    g] float32, their transcripts plus the prior; background [g], the sample's own p(gene).
    """

    members: np.ndarray
    sums: np.ndarray
    background: np.ndarray

    @classmethod
    def of(
        cls, counts: np.ndarray, *, neighbours: int, prior: float, components: int, bank: np.ndarray | None = None
    ) -> Self:
        """Pool each nucleus with its `neighbours` - 1 nearest in the SVD of log shares.

        counts: nuclear transcripts [m, g]. prior: pseudo-transcripts with the background's profile. bank: [m] bool, the
        nuclei that may be pooled with others (all by default): a model in training sees its own split only.
        """
        m, g = counts.shape
        bank_rows = np.arange(m) if bank is None else np.flatnonzero(bank)
        in_bank = counts[bank_rows]
        background = in_bank.sum(axis=0) + 1.0
        background /= background.sum()
        share = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 100)
        embedded = share
        if g > 1:
            svd = TruncatedSVD(max(1, min(components, g - 1, len(bank_rows) - 1)), random_state=0)
            svd.fit(share[bank_rows])
            embedded = svd.transform(share)
        members = _itself_and_nearest(embedded, bank_rows=bank_rows, count=min(neighbours, len(bank_rows)))
        rows = np.repeat(np.arange(m), members.shape[1])[members.ravel() >= 0]
        pooling = sparse.csr_matrix((np.ones(len(rows)), (rows, members[members >= 0])), shape=(m, m))
        sums = pooling @ sparse.csr_matrix(counts, dtype=np.float64)
        return cls(members, (sums.toarray() + prior * background).astype(np.float32), background)

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
        at, part = candidates.clip(0), self._is_part(candidates, counted_in)
        sums = np.maximum(self.sums[at, gene[:, None]] - part, 1e-6)
        ratio = np.log(sums / (self.totals[at] - part) / self.background[gene][:, None])
        return np.where(candidates >= 0, ratio, 0).astype(np.float32)

    def taken_out(
        self, gene: np.ndarray, candidates: np.ndarray, *, counted_in: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What taking a transcript out of the profile adds to the log ratio of its gene and of others; [n, k] each."""
        at, part = candidates.clip(0), self._is_part(candidates, counted_in)
        own = self.ratio_of(gene, candidates, counted_in=counted_in) - self.ratio[at, gene[:, None]]
        other = np.log(self.totals[at] / (self.totals[at] - part)).astype(np.float32)
        return np.where(part, own, 0), np.where(part, other, 0)

    def _is_part(self, candidates: np.ndarray, counted_in: np.ndarray) -> np.ndarray:
        """[n, k] bool: the nucleus `counted_in` is pooled in the candidate's profile."""
        there = (candidates >= 0) & (counted_in >= 0)[:, None]
        return (self.members[candidates.clip(0)] == counted_in[:, None, None]).any(axis=2) & there  # type: ignore[no-any-return]


def nuclear_counts(
    nucleus: np.ndarray, gene: np.ndarray, *, labelled: np.ndarray, nuclei: int, genes: int
) -> np.ndarray:
    """Transcripts of each nucleus by gene, [nuclei, genes]; only the `labelled` [n] ones count."""
    flat = nucleus[labelled].astype(np.int64) * genes + gene[labelled]
    return np.bincount(flat, minlength=nuclei * genes).reshape(nuclei, genes)


def _itself_and_nearest(embedded: np.ndarray, *, bank_rows: np.ndarray, count: int) -> np.ndarray:
    """[m, count] int32: each nucleus, then its nearest others of the bank; -1 where there are fewer."""
    search = NearestNeighbors(n_neighbors=min(count, len(bank_rows))).fit(embedded[bank_rows])
    found = bank_rows[search.kneighbors(embedded, return_distance=False)]
    own = np.arange(len(embedded))[:, None]
    order = np.argsort(found == own, axis=1, kind="stable")  # itself, where found, to the end
    others = np.take_along_axis(found, order, axis=1)[:, : count - 1]
    return np.concatenate([own, others], axis=1).astype(np.int32)
