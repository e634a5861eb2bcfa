"""What a batch holds: the ASVs of its samples, each once, their reads, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ml_core.families.sequence.data import Distances, SampleTable
from ml_core.families.sequence.model_settings import EncoderSettings
from ml_core.families.sequence.tokens import PAD, A, mask_nucleotides, tokenize

# Streams of random numbers that must not meet.
ORDER, MASKS, LIMIT, RAREFACTION = 1, 2, 3, 4


@dataclass(frozen=True)
class Sets:
    """Samples as sets of ASVs. **Shapes**, n samples, s slots of the largest, u ASVs that occur, l tokens: tokens
    [u, l] uint8; slot [n, s] int64 into the ASVs; reads [n, s] float32, 0 in empty slots; asv [u] int64, the column of
    the table."""

    tokens: Tensor
    slot: Tensor
    reads: Tensor
    asv: Tensor


@dataclass(frozen=True)
class Block:
    """Samples that are compared with one another, and their sequences with nucleotides hidden.

    **Shapes**: masked, hidden [u, l]; answer [hidden nucleotides] int64, 0 to 3 for ACGT; distances [n, n] float32.
    clean: distances are to be predicted from whole sequences, which takes a second encoding (validation).
    """

    sets: Sets
    masked: Tensor
    hidden: Tensor
    answer: Tensor
    distances: Tensor
    clean: bool


def make_sets(
    counts: sparse.csr_matrix, tokens: np.ndarray, *, limit: int, rngs: Sequence[np.random.Generator] | None
) -> Sets:
    """The rows of counts [n, a] as sets; tokens [a, l].

    Of a sample with more than `limit` ASVs some are drawn without replacement, by abundance, with the row's generator
    of `rngs`, or without these the most abundant are taken.
    """
    count = counts.shape[0]
    chosen = [_limited(counts, row, limit=limit, rng=None if rngs is None else rngs[row]) for row in range(count)]
    asv, place = np.unique(np.concatenate([columns for columns, _ in chosen]), return_inverse=True)
    slots = max(len(columns) for columns, _ in chosen)
    slot, reads = np.zeros((len(chosen), slots), np.int64), np.zeros((len(chosen), slots), np.float32)
    first = 0
    for row, (columns, number) in enumerate(chosen):
        slot[row, : len(columns)] = place[first : first + len(columns)]
        reads[row, : len(columns)] = number
        first += len(columns)
    return Sets(torch.from_numpy(trimmed(tokens[asv])), *map(torch.from_numpy, (slot, reads, asv)))


def _limited(
    counts: sparse.csr_matrix, row: int, *, limit: int, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    mine = slice(counts.indptr[row], counts.indptr[row + 1])
    columns, reads = np.asarray(counts.indices[mine]), np.asarray(counts.data[mine])
    if len(columns) <= limit:
        return columns, reads
    if rng is None:
        kept = np.sort(np.argsort(-reads, kind="stable")[:limit])
    else:
        kept = np.sort(rng.choice(len(columns), limit, replace=False, p=reads / reads.sum()))
    return columns[kept], reads[kept]


def trimmed(tokens: np.ndarray) -> np.ndarray:
    """Without the columns that are PAD in every row: a batch is as long as its longest sequence."""
    return tokens[:, : int((tokens != PAD).any(0).sum())]


class EncoderSamples:
    """Blocks of samples with their distances: one block is one sample of the trainer.

    In training each epoch deals the samples anew and hides others of the nucleotides; `fixed` ones are always dealt
    alike, with the same nucleotides hidden, and distances are asked of whole sequences.
    """

    def __init__(
        self, table: SampleTable, distances: Distances, rows: np.ndarray, *, settings: EncoderSettings, fixed: bool
    ) -> None:
        self.table, self.distances, self.rows, self.settings, self.fixed = table, distances, rows, settings, fixed
        self.tokens = tokenize(table.sequences, max_bp=max_bp_of(table))
        self.counts = table.counts[rows].tocsr()

    def __len__(self) -> int:
        return max(1, len(self.rows) // self.settings.block_samples) if len(self.rows) > 1 else 0

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> list[Block]:
        if self.fixed:
            seed, epoch = 0, 0
        order = np.random.default_rng([seed, epoch, ORDER]).permutation(len(self.rows))
        blocks = np.array_split(order, len(self))
        return [self._block(np.sort(blocks[index]), seed=seed, epoch=epoch, index=int(index)) for index in indices]

    def _block(self, places: np.ndarray, *, seed: int, epoch: int, index: int) -> Block:
        settings = self.settings
        rngs = None if self.fixed else [np.random.default_rng([seed, epoch, int(i), LIMIT]) for i in places]
        sets = make_sets(self.counts[places], self.tokens, limit=settings.token_limit, rngs=rngs)
        clear = sets.tokens.numpy()
        masked, hidden = mask_nucleotides(
            clear,
            share=settings.mask_share,
            span_bp=settings.mask_span_bp,
            of_sequences=settings.masked_sequences,
            rng=np.random.default_rng([seed, epoch, index, MASKS]),
        )
        rows = self.rows[places]
        return Block(
            sets,
            masked=torch.from_numpy(masked),
            hidden=torch.from_numpy(hidden),
            answer=torch.from_numpy(clear[hidden].astype(np.int64) - A),
            distances=torch.from_numpy(np.asarray(self.distances.matrix[np.ix_(rows, rows)])),
            clean=self.fixed,
        )


def max_bp_of(table: SampleTable) -> int:
    """Length of the longest sequence of a table, in bp."""
    return max(len(str(each)) for each in table.sequences)
