"""A token for each nucleotide behind a START; hidden ones are nucleotides, never N, PAD or START."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.sequence.tokens import MASK, PAD, START, A, G, N, T, mask_nucleotides, tokenize

dna = st.lists(st.text("ACGTN", min_size=1, max_size=30), min_size=1, max_size=8)


@given(dna, st.integers(1, 40))
def test_tokens_spell_the_sequence_up_to_max_bp(sequences: list[str], max_bp: int) -> None:
    tokens = tokenize(np.array(sequences, object), max_bp=max_bp)
    letters = dict(zip(range(8), "_ACGT^?N", strict=True))
    for sequence, row in zip(sequences, tokens, strict=True):
        spelt = "".join(letters[int(token)] for token in row).rstrip("_")
        assert spelt == "^" + sequence[:max_bp]


def test_n_has_a_token_of_its_own_and_short_sequences_are_padded() -> None:
    tokens = tokenize(np.array(["ANT", "G"], object), max_bp=10)
    assert tokens.tolist() == [[START, A, N, T], [START, G, PAD, PAD]]


@given(dna, st.floats(0.05, 0.9), st.integers(1, 4), st.integers(0, 9))
def test_only_nucleotides_are_hidden_and_the_rest_stays(
    sequences: list[str], share: float, span: int, seed: int
) -> None:
    tokens = tokenize(np.array(sequences, object), max_bp=30)
    rng = np.random.default_rng(seed)
    masked, hidden = mask_nucleotides(tokens, share=share, span_bp=span, of_sequences=1.0, rng=rng)
    known = (tokens >= A) & (tokens <= T)
    assert not hidden[~known].any()
    assert hidden.any() == known.any()
    assert (masked[hidden] == MASK).all()
    assert (masked[~hidden] == tokens[~hidden]).all()


def test_the_share_of_hidden_nucleotides_is_the_one_asked_for_in_runs_too() -> None:
    tokens = np.full((400, 150), A, np.uint8)
    for span in (1, 5):
        rng = np.random.default_rng(0)
        _, hidden = mask_nucleotides(tokens, share=0.15, span_bp=span, of_sequences=1.0, rng=rng)
        assert abs(hidden[:, span:].mean() - 0.15) < 0.01
