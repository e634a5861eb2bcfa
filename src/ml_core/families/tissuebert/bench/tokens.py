"""3-mers by shifts and a table beside a Python dict loop over each window."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from ml_core.bench.case import Reach, Request, Row
from ml_core.bench.turns import Contender, Timed, take_turns
from ml_core.families.tissuebert.tokens import PAD, UNK, WINDOW_BP, tokenize

WINDOWS, QUICK_WINDOWS, SHARE_OF_N = 200_000, 2000, 0.001
PEER_WINDOWS = 10_000
LEAST = 30.0


def rows(request: Request) -> list[Row]:
    count, few = (QUICK_WINDOWS, QUICK_WINDOWS // 4) if request.quick else (WINDOWS, PEER_WINDOWS)
    ours, loop = take_turns(
        [Contender("ml_core", ours_of, (count,), units=count), Contender("dict loop", loop_of, (few,), units=few)],
        rounds=request.rounds,
    )
    assert np.array_equal(ours.answers[0][:100], loop.answers[0]), "the two sides differ"
    return [_row(f"tokens of {count:,} windows of {WINDOW_BP} bp", ours, loop)]


def windows(count: int) -> np.ndarray:
    """Letters [count, 150] at random, the first ones alike whatever the count."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, (count, WINDOW_BP), dtype=np.int8)]
    letters[np.random.default_rng(1).random(letters.shape) < SHARE_OF_N] = ord("N")
    return letters


def ours_of(count: int) -> Callable[[], np.ndarray]:
    letters = windows(count)
    return lambda: tokenize(letters)[:100]


def loop_of(count: int) -> Callable[[], np.ndarray]:
    sequences = [row.tobytes().decode() for row in windows(count)]
    token_of = {"".join(kmer): number for number, kmer in enumerate(itertools.product("ACGT", repeat=3))}

    def tokens() -> np.ndarray:
        found = [
            [token_of.get(sequence[i : i + 3], UNK) for i in range(len(sequence) - 2)] + [PAD, PAD]
            for sequence in sequences
        ]
        return np.array(found[:100], np.uint8)

    return tokens


def _row(what: str, ours: Timed, loop: Timed) -> Row:
    ratio = ours.per_second / loop.per_second
    return Row(
        what,
        ours.side(rate="windows/s"),
        loop.side(rate="windows/s"),
        ratio=ratio,
        reach=Reach(least=LEAST),
        rounds=len(ours.cpu),
    )
