"""3-mers have the documented ids, N is unknown, and a CpG is found wherever the letters have one."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.tissuebert.tokens import (
    KMERS,
    PAD,
    UNK,
    WINDOW_BP,
    cpg_places,
    cpg_possible,
    letters,
    tokenize,
    unknown_tokens,
)

DNA = st.text(st.sampled_from("ACGTacgtN"), min_size=WINDOW_BP, max_size=WINDOW_BP)


@given(st.lists(DNA, min_size=1, max_size=3))
def test_tokens_are_those_of_a_dictionary_of_3_mers(sequences: list[str]) -> None:
    ids = {"".join(kmer): number for number, kmer in enumerate(itertools.product("ACGT", repeat=3))}
    found = tokenize(letters(sequences))
    for sequence, tokens in zip(sequences, found, strict=True):
        upper = sequence.upper()
        assert tokens.tolist() == [ids.get(upper[place : place + 3], UNK) for place in range(KMERS)] + [PAD, PAD]


@given(DNA)
def test_every_cg_is_a_place_and_every_place_is_possible_by_the_tokens(sequence: str) -> None:
    windows = letters([sequence])
    places = cpg_places(windows)[0]
    upper = sequence.upper()
    assert np.flatnonzero(places).tolist() == [at for at in range(WINDOW_BP - 1) if upper[at : at + 2] == "CG"]
    possible = cpg_possible(tokenize(windows))[0]
    assert (possible | ~places).all()
    if "N" not in upper:
        np.testing.assert_array_equal(possible, places)


def test_windows_of_unknown_sequence_leave_every_place_but_the_last_open() -> None:
    tokens = unknown_tokens(2)
    assert set(tokens[:, :KMERS].ravel()) == {UNK}
    assert cpg_possible(tokens).sum(axis=1).tolist() == [WINDOW_BP - 1] * 2


def test_tokens_of_many_windows_are_those_of_each() -> None:
    windows = np.frombuffer(b"ACGTN", np.uint8)[np.random.default_rng(0).integers(5, size=(5000, WINDOW_BP))]
    np.testing.assert_array_equal(
        tokenize(windows), np.concatenate([tokenize(windows[:4000]), tokenize(windows[4000:])])
    )
