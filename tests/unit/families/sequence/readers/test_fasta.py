"""FASTA as it comes, and its faults by row."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.readers.fasta import read_fasta
from tests.unit.families.sequence.planted import artifact

TEXT = ">asv1 k__Bacteria\nACGT\nAC\n\n>asv2\nTTTT\n"


@pytest.mark.parametrize("kind", ["fasta", "fasta.gz", "qza"])
def test_records_are_read_whatever_their_wrapping(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"sequences.{kind}"
    path.write_bytes(gzip.compress(TEXT.encode()) if kind == "fasta.gz" else TEXT.encode())
    if kind == "qza":
        artifact(path, kind="FeatureData[Sequence]", member="dna-sequences.fasta", data=TEXT.encode())
    assert read_fasta(path) == {"asv1": "ACGTAC", "asv2": "TTTT"}


WRONG = {
    "no FASTA": ("id\tsequence\n", "row 1 is 'id\tsequence', expected '>' and an id"),
    "no id": (">\nACGT\n", "the record '' before row 3 has no id"),
    "no sequence": (">a\n>b\nACGT\n", "the record 'a' before row 2 has no sequence"),
    "an id twice": (">a\nACGT\n>a\nACGG\n", r"id 'a' has two sequences \(the second ends before row 5\)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_fault_is_named_with_its_row(what: str, tmp_path: Path) -> None:
    text, sentence = WRONG[what]
    (tmp_path / "s.fasta").write_text(text)
    with pytest.raises(UserError, match=f"s.fasta: {sentence}"):
        read_fasta(tmp_path / "s.fasta")
