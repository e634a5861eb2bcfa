"""Sequences as tokens: one per nucleotide behind a START, N with a token of its own."""

from __future__ import annotations

import numpy as np

PAD, A, C, G, T, START, MASK, N = range(8)
VOCABULARY = 8
NUCLEOTIDES = (A, C, G, T)
_TOKEN_OF = np.full(256, N, np.uint8)  # every letter that is none of ACGT counts as N
_TOKEN_OF[np.frombuffer(b"ACGT", np.uint8)] = NUCLEOTIDES


def tokenize(sequences: np.ndarray, *, max_bp: int) -> np.ndarray:
    """uint8 [a, 1 + longest], START, then at most `max_bp` letters of each sequence [a], then PAD."""
    letters = [np.frombuffer(str(each)[:max_bp].encode("ascii", "replace"), np.uint8) for each in sequences]
    longest = max((len(each) for each in letters), default=0)
    tokens = np.full((len(letters), 1 + longest), PAD, np.uint8)
    tokens[:, 0] = START
    for row, each in zip(tokens, letters, strict=True):
        row[1 : 1 + len(each)] = _TOKEN_OF[each]
    return tokens


def mask_nucleotides(
    tokens: np.ndarray, *, share: float, span_bp: int, of_sequences: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [u, l] with `share` of the nucleotides of `of_sequences` of the sequences hidden, and where, bool [u, l].

    They are hidden in runs of `span_bp` that begin at random; N, START and PAD never are. At least one nucleotide of
    the batch is, so that the loss exists.
    """
    known = (tokens >= A) & (tokens <= T)
    chosen = rng.random(len(tokens)) < of_sequences
    starts = rng.random(tokens.shape) < 1 - (1 - share) ** (1 / span_bp)
    hidden = starts.copy()
    for shift in range(1, span_bp):
        hidden[:, shift:] |= starts[:, :-shift]
    hidden &= known & chosen[:, None]
    if not hidden.any() and known.any():
        hidden.flat[rng.choice(np.flatnonzero(known))] = True
    return np.where(hidden, np.uint8(MASK), tokens), hidden
