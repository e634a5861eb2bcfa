"""A sequence is found by id or md5, and written in one way whatever way it came."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.dna import clean, is_sequence, known_sequences

SEQUENCE = "ACGTACGTACGTACGTACGTACGT"
MD5 = hashlib.md5(SEQUENCE.encode()).hexdigest()  # noqa: S324 - a name, no secret


@pytest.mark.parametrize(
    ("raw", "written", "noticed"),
    [
        ("ACGTN", "ACGTN", {"N"}),
        ("acgt", "ACGT", {"lower-case letters"}),
        ("ACGU", "ACGT", {"U, read as T"}),
        ("AC-GT.", "ACGT", {"gaps, left out"}),
        ("ARYT", "ANNT", {"other ambiguous bases, read as N", "N"}),
        (
            "aryu-",
            "ANNT",
            {"lower-case letters", "U, read as T", "gaps, left out", "other ambiguous bases, read as N", "N"},
        ),
        ("ACGT", "ACGT", set()),
    ],
)
def test_letters_are_written_in_one_way_and_counted(raw: str, written: str, noticed: set[str]) -> None:
    found: Counter[str] = Counter()
    assert clean(raw, name="x", noticed=found) == written
    assert set(+found) == noticed


@pytest.mark.parametrize(("raw", "place"), [("ACGX", "'X' at position 4"), ("acz-", "'Z' at position 3")])
def test_a_letter_that_stands_for_no_base_is_named(raw: str, place: str) -> None:
    with pytest.raises(UserError, match=f"ASV 'x': its sequence has {place}, expected DNA"):
        clean(raw, name="x", noticed=Counter())


def test_a_sequence_of_nothing_but_n_is_refused() -> None:
    with pytest.raises(UserError, match="ASV 'x': its sequence has no base but N"):
        clean("NNNN", name="x", noticed=Counter())


def test_an_id_is_a_sequence_only_where_it_reads_like_one() -> None:
    assert is_sequence(SEQUENCE)
    assert is_sequence(SEQUENCE.lower())
    assert not any(map(is_sequence, [MD5, "asv1", "ACGT", "", SEQUENCE + "1", "Candidatus Saccharimonas sp"]))


def test_a_sequence_is_found_by_id_and_by_md5_and_tips_count() -> None:
    other = SEQUENCE[::-1]
    known = known_sequences([{"asv1": SEQUENCE.lower()}], tips=[other, "asv2"])
    assert known["asv1"] == known[MD5] == SEQUENCE.lower()
    assert known[hashlib.md5(other.encode()).hexdigest()] == other  # noqa: S324 - a name, no secret
    assert "asv2" not in known


def test_one_id_for_two_sequences_is_refused() -> None:
    with pytest.raises(UserError, match="id 'OTU1' has another sequence in another file"):
        known_sequences([{"OTU1": SEQUENCE}, {"OTU1": SEQUENCE[::-1]}], tips=[])
