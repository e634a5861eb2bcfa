"""Rows of .pat.gz come in chunks of bounded size, and a row that cannot be is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.pat import read_pat
from tests.unit.families.tissuebert.small_panel import pat

ROWS = [f"chr1\t{number}\t{'CTH.'[number % 4] * (number % 7 + 1)}C\t{number}" for number in range(1, 100)]


@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
def test_rows_are_the_same_in_chunks_of_any_size(tmp_path: Path, chunk_rows: int) -> None:
    chunks = list(read_pat(pat(tmp_path / "a.pat.gz", *ROWS), chunk_rows=chunk_rows))
    assert max(map(len, chunks)) <= chunk_rows
    assert [chunk.row for chunk in chunks] == list(range(1, 100, chunk_rows))
    assert np.concatenate([chunk.start_cpg for chunk in chunks]).tolist() == list(range(1, 100))
    assert np.concatenate([chunk.count for chunk in chunks]).tolist() == list(range(1, 100))
    codes = {"C": 1, "H": 1, "T": 0, ".": 3}
    states = [codes[letter] for row in ROWS for letter in row.split("\t")[2]]
    assert np.concatenate([chunk.state for chunk in chunks]).tolist() == states


def test_plain_text_and_further_columns_are_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.pat").write_text("chr1\t5\tCT\t2\tmore\n")
    (chunk,) = read_pat(tmp_path / "a.pat")
    assert (chunk.start_cpg.tolist(), chunk.length.tolist(), chunk.count.tolist()) == ([5], [2], [2])


FAULTS = {
    "foreign sign": (
        ["chr1\t5\tCT\t2", "chr1\t6\tCXT\t2"],
        "row 2, pattern 'CXT' has 'X', expected C, T, H and '.' only",
    ),
    "small letters": (["chr1\t5\tct\t2"], "row 1, pattern 'ct' has 'c'"),
    "two bytes": (["chr1\t5\tCÄ\t2"], "row 1, pattern 'CÄ' has 'Ä'"),
    "no pattern": (["chr1\t5\tCT\t2", "chr1\t6\t\t2"], "row 2, pattern '' is empty"),
    "no number": (["chr1\t5\tCT\t2", "chr1\t?\tCT\t2"], r"row 2, column 'CpG number' is '\?', expected a whole number"),
    "zero": (["chr1\t0\tCT\t2"], "row 1, column 'CpG number' is '0'"),
    "half a read": (["chr1\t5\tCT\t0.5"], "row 1, column 'count' is '0.5'"),
    "three columns": (["chr1\t5\tCT"], "row 1 has 3 columns, expected reads as .pat.gz"),
    "ragged": (["chr1\t5\tCT\t2", "chr1\t5\tCT\t2\t7\t8"], "is no table"),
    "empty": ([], "is empty"),
}


@pytest.mark.parametrize(("rows", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_row_that_cannot_be_is_named(tmp_path: Path, rows: list[str], said: str) -> None:
    path = pat(tmp_path / "a.pat.gz", *rows)
    with pytest.raises(UserError, match=said) as caught:
        list(read_pat(path))
    assert str(path) in str(caught.value)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    path = pat(tmp_path / "a.pat.gz", *ROWS)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match=r"a\.pat\.gz: is truncated or damaged .* fetch the file again"):
        list(read_pat(path))
    path.write_bytes(gzip.compress(b"chr1\t5\tCT\t2\n")[:-3] + b"xyz")
    with pytest.raises(UserError, match=r"a\.pat\.gz: is truncated or damaged"):
        list(read_pat(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.pat\.gz: does not exist, expected reads as \.pat\.gz"):
        list(read_pat(tmp_path / "gone.pat.gz"))
