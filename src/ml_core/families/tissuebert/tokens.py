"""DNA as overlapping 3-mers, methylation as one state per base."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

WINDOW_BP = 150
KMERS = WINDOW_BP - 2  # 3-mers that begin in a window; the last two places are PAD
PAD, UNK, MASK, CLS, SEP = range(64, 69)
VOCABULARY = 69
UNMETHYLATED, METHYLATED, NO_CPG, NOT_OBSERVED = range(4)
STATES = 4

_UNKNOWN = 4
_CODE_OF = np.full(256, _UNKNOWN, np.uint8)
_CODE_OF[np.frombuffer(b"ACGT", np.uint8)] = range(4)
_CODE_OF[np.frombuffer(b"acgt", np.uint8)] = range(4)
_CODES = _CODE_OF.tobytes()
_C, _G = 1, 2
_BLOCK = 1024


def letters(sequences: Iterable[str | bytes]) -> np.ndarray:
    """uint8 [n, 150], the letters of windows of 150 bp; other letters than ACGT (either case) count as N."""
    joined = b"".join(each.encode() if isinstance(each, str) else each for each in sequences)
    return np.frombuffer(joined, np.uint8).reshape(-1, WINDOW_BP)


def tokenize(windows: np.ndarray) -> np.ndarray:
    """Tokens uint8 [n, 150] of letters uint8 [n, 150]: 0-63 in ACGT order, UNK with an N, two PAD at the end."""
    tokens = np.full(windows.shape, PAD, np.uint8)
    for start in range(0, len(windows), _BLOCK):
        block = windows[start : start + _BLOCK]
        code = np.frombuffer(block.tobytes().translate(_CODES), np.uint8)  # window after window: quicker than indexing
        kmer = np.zeros(len(code), np.uint8)
        inner = np.left_shift(code[:-2], 2, out=kmer[:-2])
        inner |= code[1:-1]
        inner <<= 2
        inner |= code[2:]
        unknown = np.flatnonzero(code == _UNKNOWN)
        for back in range(3):  # those of the window before, and of the end, stand where PAD does
            kmer[unknown - back] = UNK
        tokens[start : start + _BLOCK, :KMERS] = kmer.reshape(block.shape)[:, :KMERS]
    return tokens


def unknown_tokens(count: int) -> np.ndarray:
    """Tokens uint8 [count, 150] of windows whose sequence is not known."""
    tokens = np.full((count, WINDOW_BP), PAD, np.uint8)
    tokens[:, :KMERS] = UNK
    return tokens


def cpg_possible(tokens: np.ndarray) -> np.ndarray:
    """bool [n, 150]: places that the tokens [n, 150] say are the C of a CG, or where UNK leaves it open.

    A 3-mer tells of its first two letters, and the last one in the window of its last two as well.
    """
    possible = np.zeros(tokens.shape, bool)
    kmers = tokens[:, :KMERS]
    possible[:, :KMERS] = ((kmers >> 2) == (_C << 2 | _G)) | (kmers == UNK)
    last = tokens[:, KMERS - 1]
    possible[:, KMERS] = ((last & 15) == (_C << 2 | _G)) & (last < PAD) | (last == UNK)
    return possible


def cpg_certain(tokens: np.ndarray) -> np.ndarray:
    """bool [n, 150]: places that the tokens [n, 150] say are the C of a CG, without those that UNK leaves open."""
    certain = cpg_possible(tokens)
    certain[:, :KMERS] &= tokens[:, :KMERS] != UNK
    certain[:, KMERS] &= tokens[:, KMERS - 1] != UNK
    return certain


def cpg_places(windows: np.ndarray) -> np.ndarray:
    """bool [n, 150]: the C of each CG that lies wholly in the window of letters uint8 [n, 150]."""
    code = _CODE_OF[windows]
    places = np.zeros(windows.shape, bool)
    places[:, :-1] = (code[:, :-1] == _C) & (code[:, 1:] == _G)
    return places
