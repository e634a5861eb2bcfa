"""Tables of reads: methylation stands on the C of a CG of the 3-mers, and a row that contradicts itself is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.read_table import read_table
from ml_core.families.tissuebert.tokens import cpg_places

HEAD = "name\tref_name\tref_pos\tdna_seq\tmethyl_seq\tdmr_label\tctype\n"


def kmers(sequence: str) -> str:
    return " ".join(sequence[at : at + 3] for at in range(len(sequence) - 2))


def row(sequence: str = "ACGTACGA", methyl: str = "122202", **changes: str) -> str:
    cells = {"name": "r", "ref_name": "chr2", "ref_pos": "101", "dna": kmers(sequence), "methyl": methyl}
    cells |= {"dmr": "6", "ctype": "T"} | changes
    return "\t".join(cells.values()) + "\n"


def table(folder: Path, content: str) -> Path:
    path = folder / "reads.csv.gz"
    path.write_bytes(gzip.compress(content.encode()))
    return path


def test_states_stand_at_the_places_of_the_cpgs(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, HEAD + row() + row("TTTACGCGA", "2221202", ctype="N")))
    assert found.frame.to_numpy().tolist() == [["chr2", 100, "dmr_6", "T"], ["chr2", 100, "dmr_6", "N"]]
    assert found.letters[0].tobytes().decode() == "ACGTACGA" + "N" * 142
    assert found.states[0, :8].tolist() == [2, 1, 2, 2, 2, 0, 2, 2]
    assert found.states[1, :9].tolist() == [2, 2, 2, 2, 1, 2, 0, 2, 2]
    np.testing.assert_array_equal(found.states != 2, cpg_places(found.letters))


def test_a_cpg_of_which_nothing_is_told_is_not_observed(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, HEAD + row("ACGTACGA", "122222")))
    assert found.states[0, :8].tolist() == [2, 1, 2, 2, 2, 3, 2, 2]


def test_reads_longer_than_a_window_are_cut(tmp_path: Path) -> None:
    long = "ACGT" * 50
    methyl = "".join("1" if long[at + 1 : at + 3] == "CG" else "2" for at in range(198))
    found = read_table(table(tmp_path, HEAD + row(long, methyl)))
    assert found.letters[0].tobytes().decode() == long[:150]
    assert (found.states[0] == 1).sum() == cpg_places(found.letters).sum()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD.replace("\tctype", ""), "has no column 'ctype'"),
        (HEAD, "has no reads"),
        (HEAD + row() + row(ref_pos="x"), "row 3, column 'ref_pos' is 'x'"),
        (HEAD + row(dna="ACG TTT"), "row 2, column 'dna_seq' is no row of overlapping 3-mers"),
        (HEAD + row(dna=""), "row 2, column 'dna_seq' is no row of overlapping 3-mers"),
        (
            HEAD + row(methyl="12222"),
            r"'methyl_seq' is '12222...' \(5 signs\), expected one of 0, 1 and 2 for each of 6",
        ),
        (HEAD + row(methyl="1222x2"), "column 'methyl_seq'"),
        (HEAD + row(methyl="212202"), "row 2 tells the methylation of letter 3 of its window, which is no C of a CG"),
        (HEAD + row() + "r\tchr2\n", "row 3 has 2 cells, expected 7"),
    ],
)
def test_a_row_that_cannot_be_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_table(table(tmp_path, content))
