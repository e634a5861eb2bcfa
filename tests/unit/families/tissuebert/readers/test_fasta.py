"""Any part of a genome is what a plain reading of the file gives, with or without index, in one line or many."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.tissuebert.cpg_index import index_genome
from ml_core.families.tissuebert.readers.fasta import Fasta, write_fai
from tests.unit.families.tissuebert.small_panel import CPGS, fasta, sequence


def text(letters: np.ndarray) -> str:
    return letters.tobytes().decode()


@given(
    st.lists(st.text("ACGTNacgt", min_size=0, max_size=200), min_size=1, max_size=3),
    st.integers(1, 70),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["plain", "indexed", "gzip"]),
    st.data(),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_part_is_that_of_the_sequence(
    tmp_path_factory: pytest.TempPathFactory,
    sequences: list[str],
    width: int,
    last_newline: bool,
    newline: str,
    how: str,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("fasta") / "g.fa"
    lines = []
    for number, letters in enumerate(sequences):
        lines += [f">c{number} of a test", *(letters[at : at + width] for at in range(0, len(letters), width))]
    content = (newline.join(lines) + (newline if last_newline else "")).encode()
    path.write_bytes(gzip.compress(content) if how == "gzip" else content)
    if how == "indexed":
        write_fai(path)
    found = Fasta(path)
    number = data.draw(st.integers(0, len(sequences) - 1))
    letters = sequences[number]
    start = data.draw(st.integers(0, len(letters)))
    end = data.draw(st.integers(start, len(letters)))
    assert text(found.letters(f"c{number}", start, end)) == letters[start:end]
    assert found.entries[f"c{number}"].length == len(letters)


def test_an_index_that_is_there_is_used_and_an_old_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">a\nACGT\n>b\nTTT\n")
    beside = write_fai(path)
    assert beside.read_text() == "a\t4\t3\t4\t5\nb\t3\t11\t3\t4\n"
    beside.write_text("only_b\t3\t11\t3\t4\n")
    assert list(Fasta(path).entries) == ["only_b"]
    later = path.stat().st_mtime + 10
    os.utime(path, (later, later))
    assert list(Fasta(path).entries) == ["a", "b"]


def test_a_part_of_a_chromosome_is_asked_for_by_its_place_there(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">chr20:1001-1008\nACGTTTCG\n")
    found = Fasta(path)
    assert text(found.letters("chr20", 1000, 1004)) == "ACGT"
    assert index_genome(found).positions["chr20"].tolist() == [1001, 1006]
    with pytest.raises(UserError, match=r"has chr20:1,000-1,008, but chr20:999-1,004 is asked for"):
        found.letters("chr20", 999, 1004)


def test_numbers_of_cpgs_run_through_all_chromosomes(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(fasta())
    index = index_genome(Fasta(tmp_path / "g.fa"))
    assert {name: places.tolist() for name, places in index.positions.items()} == CPGS
    assert index.first == {"chr1": 1, "chr2": 12}
    assert index.cpgs == 16
    first, places = index.within("chr2", 320, 351)
    assert (first, places.tolist()) == (13, [320, 340, 350])
    assert [at.start() for at in re.finditer("CG", sequence("chr2"))] == CPGS["chr2"]


FAULTS = {
    "empty": ("", "has no line that begins with '>'"),
    "no fasta": ("chr1\t1\t2\n", "has no line that begins with '>'"),
    "two of one name": (">a\nAC\n>a\nAC\n", "has two sequences called 'a'"),
    "two parts of one": (">a:1-2\nAC\n>a:5-6\nAC\n", "has two sequences of 'a'"),
    "uneven lines": (">a\nACG\nA\nACG\n", "lines of 'a' differ in length"),
    "without a name": (">\nACG\n", "is '>' without a name"),
}


@pytest.mark.parametrize(("content", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_no_fasta_says_so(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "g.fa"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(said)):
        Fasta(path)


def test_chromosomes_that_are_not_there_say_whether_chr_is_all_the_difference(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">1\nACGT\n>2\nA\n")
    found = Fasta(tmp_path / "g.fa")
    with pytest.raises(UserError, match="has '1' where the others have 'chr1', expected chromosome names of one kind"):
        found.letters("chr1")
    with pytest.raises(UserError, match=r"has no chromosome 'chrX' \(it has 1, 2\), expected the build"):
        found.letters("chrX")


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "g.fa.gz"
    path.write_bytes(gzip.compress(fasta().encode())[:-9])
    with pytest.raises(UserError, match=r"g\.fa\.gz: is truncated or damaged"):
        Fasta(path)


def test_a_broken_index_is_named(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">a\nACGT\n")
    path.with_name("g.fa.fai").write_text("a\t4\n")
    with pytest.raises(UserError, match="row 1 is no row of a FASTA index; delete the file"):
        Fasta(path)
