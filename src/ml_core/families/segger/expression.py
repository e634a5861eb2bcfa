"""What a nucleus' genes say: smoothed profiles, and how likely a transcript's gene is under them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

from ml_core.families.segger.data import release, room_for
from ml_core.families.segger.stray import AT_ONCE, own_share

FITS_BEST = 0.99
ROWS_EMBEDDED = 50_000  # nuclei whose counts are dense at a time where a product is taken of many
MOST_POOLED = (
    50_000  # nuclei from which neighbours are chosen: more do not change what a profile is, and take their square
)


@dataclass(frozen=True)
class Profiles:
    """p(gene | nucleus), pooled over the nucleus and the nuclei most like it.

    **Shapes**, m nuclei, g genes: members [m, k] int32, the nuclei pooled for each, itself first, -1 padded; own [m, g]
    float32, the share of a nucleus' transcripts of a gene that counts as its own; sums [m, g] float32, the members' own
    transcripts plus the prior; background [g], the sample's own p(gene). own and sums may be memory-mapped. `few` [f]:
    the nuclei that stand for all of them where there are very many.
    """

    members: np.ndarray
    own: np.ndarray
    sums: np.ndarray
    background: np.ndarray
    few: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        counts: np.ndarray | sparse.csr_matrix,
        *,
        neighbours: int,
        prior: float,
        components: int,
        bank: np.ndarray | None = None,
        most: int = 50_000,
        around: np.ndarray | None = None,
        stray_share: float = 0.0,
        directory: Path | None = None,
    ) -> Self:
        """Pool each nucleus with its `neighbours` - 1 nearest in the SVD of log shares.

        counts: nuclear transcripts [m, g]. prior: pseudo-transcripts with the background's profile. bank: [m] bool, the
        nuclei that may be pooled with others (all by default): a model in training sees its own split only. most: of a
        larger bank so many, at even steps, so that the search grows with the nuclei, not with their square. around:
        transcripts around each nucleus [m, g], whose profile makes up `stray_share` of the counts (`stray.own_share`).
        directory: where the arrays [m, g] are kept on disk instead of in memory.
        """
        counts = sparse.csr_matrix(counts)
        m, g = counts.shape
        bank_rows = _at_even_steps(np.arange(m) if bank is None else np.flatnonzero(bank), most=most)
        background = _frequencies(counts[bank_rows])
        embedded = _embedded(counts, bank_rows=bank_rows, components=components)
        members = _itself_and_nearest(embedded, bank_rows=bank_rows, count=min(neighbours, len(bank_rows)))
        rows = np.repeat(np.arange(m), members.shape[1])[members.ravel() >= 0]
        pooling = sparse.csr_matrix((np.ones(len(rows)), (rows, members[members >= 0])), shape=(m, m))
        own = room_for((m, g), np.float32, directory=directory, name="own")
        if around is None:
            own[:] = 1
        else:
            stray = {"around": around, "background": background, "stray_share": stray_share}
            own_share(counts, pooling=pooling, **stray, out=own)
        own_counts = _times(counts, own)
        if around is not None:
            background = _frequencies(own_counts[bank_rows])
        sums = room_for((m, g), np.float32, directory=directory, name="sums")
        for start in range(0, m, AT_ONCE):
            sums[start : start + AT_ONCE] = (
                pooling[start : start + AT_ONCE] @ own_counts
            ).toarray() + prior * background
        return cls(members, own, sums, background, _at_even_steps(np.arange(m), most=most))

    def release(self) -> None:
        """Hand the memory of what was read so far back, where the arrays are on disk."""
        release(self.own, self.sums)

    @cached_property
    def totals(self) -> np.ndarray:
        """[m] transcripts and prior of each profile."""
        return self.sums.sum(axis=1)  # type: ignore[no-any-return]

    @cached_property
    def ratio(self) -> np.ndarray:
        """log p(gene | nucleus) / p(gene), [m, g] float32, nats."""
        return self.ratio_in(np.arange(len(self.sums)))

    def ratio_in(self, nuclei: np.ndarray) -> np.ndarray:
        """The same for some nuclei [b], [b, g]."""
        return np.log(self.sums[nuclei] / self.totals[nuclei, None] / self.background).astype(np.float32)  # type: ignore[no-any-return]

    def ratio_at(self, gene: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """`ratio` of each transcript's gene [n] in its candidates [n, k], [n, k]; 0 where there is no candidate."""
        at = candidates.clip(0)
        ratio = np.log(self.sums[at, gene[:, None]] / self.totals[at] / self.background[gene][:, None])
        return np.where(candidates >= 0, ratio, 0).astype(np.float32)

    @cached_property
    def best_ratio(self) -> np.ndarray:
        """Log ratio of each gene in the nuclei that it fits best (99th percentile: no single one decides), [g]."""
        nuclei = np.arange(len(self.sums)) if self.few is None else self.few
        return np.quantile(self.ratio_in(nuclei), FITS_BEST, axis=0).astype(np.float32)  # type: ignore[no-any-return]

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
        whole = np.log(self.sums[at, gene[:, None]] / self.totals[at] / self.background[gene][:, None])
        own = self.ratio_of(gene, candidates, counted_in=counted_in) - whole.astype(np.float32)
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
    return sparse_counts(nucleus, gene, labelled=labelled, nuclei=nuclei, genes=genes).toarray()  # type: ignore[no-any-return]


def sparse_counts(
    nucleus: np.ndarray, gene: np.ndarray, *, labelled: np.ndarray, nuclei: int, genes: int
) -> sparse.csr_matrix:
    """The same without the many pairs in which nothing was counted."""
    flat, counts = np.unique(nucleus[labelled].astype(np.int64) * genes + gene[labelled], return_counts=True)
    row, column = np.divmod(flat, genes)
    return sparse.csr_matrix((counts, (row, column)), shape=(nuclei, genes))


def _at_even_steps(rows: np.ndarray, *, most: int) -> np.ndarray:
    """All rows, or `most` of them from the first to the last."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _embedded(counts: sparse.csr_matrix, *, bank_rows: np.ndarray, components: int) -> np.ndarray:
    """[m, components] log shares in the SVD of the bank's."""

    def log_shares(rows: np.ndarray | slice) -> np.ndarray:
        dense = counts[rows].toarray()
        return np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * 100)  # type: ignore[no-any-return]

    m, g = counts.shape
    parts = [slice(start, start + ROWS_EMBEDDED) for start in range(0, m, ROWS_EMBEDDED)]
    if g == 1:
        return np.concatenate([log_shares(rows) for rows in parts])
    svd = TruncatedSVD(max(1, min(components, g - 1, len(bank_rows) - 1)), random_state=0)
    svd.fit(log_shares(bank_rows))
    return np.concatenate([svd.transform(log_shares(rows)) for rows in parts])


def _times(counts: sparse.csr_matrix, share: np.ndarray) -> sparse.csr_matrix:
    """Sparse counts [m, g] times dense shares [m, g], float64."""
    values = np.empty(counts.nnz)
    for start in range(0, counts.shape[0], AT_ONCE):
        end = min(start + AT_ONCE, counts.shape[0])
        there = slice(counts.indptr[start], counts.indptr[end])
        of_row = np.repeat(np.arange(end - start), np.diff(counts.indptr[start : end + 1]))
        values[there] = counts.data[there] * np.asarray(share[start:end])[of_row, counts.indices[there]]
    return sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)


def _frequencies(counts: sparse.csr_matrix) -> np.ndarray:
    """p(gene) over all nuclei [g], with one transcript of each gene more than there are."""
    total = np.bincount(counts.indices, counts.data, minlength=counts.shape[1]) + 1.0
    return total / total.sum()  # type: ignore[no-any-return]


def _itself_and_nearest(embedded: np.ndarray, *, bank_rows: np.ndarray, count: int) -> np.ndarray:
    """[m, count] int32: each nucleus, then its nearest others of the bank; -1 where there are fewer."""
    search = NearestNeighbors(n_neighbors=min(count, len(bank_rows))).fit(embedded[bank_rows])
    found = bank_rows[search.kneighbors(embedded, return_distance=False)]
    own = np.arange(len(embedded))[:, None]
    order = np.argsort(found == own, axis=1, kind="stable")  # itself, where found, to the end
    others = np.take_along_axis(found, order, axis=1)[:, : count - 1]
    return np.concatenate([own, others], axis=1).astype(np.int32)
