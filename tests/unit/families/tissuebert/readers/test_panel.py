"""Panels and atlases come as they stand, and a row that cannot be is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.panel import read_atlas, read_bed

HEAD = "chr\tstart\tend\tstartCpG\tendCpG\ttarget\tname\tdirection\tLiver\tBlood\n"


def test_beds_of_three_and_five_columns(tmp_path: Path) -> None:
    path = tmp_path / "p.bed"
    path.write_text("#chr\tstart\tend\nchr1\t10\t200\nchr2\t5\t9\n\n")
    found = read_bed(path)
    assert not found.numbered
    assert found.frame[["chromosome", "start", "end"]].to_numpy().tolist() == [["chr1", 10, 200], ["chr2", 5, 9]]
    path.write_text("chr1\t10\t200\t7\t12\textra\n")
    found = read_bed(path)
    assert found.numbered
    assert found.frame[["start_cpg", "end_cpg"]].to_numpy().tolist() == [[7, 12]]


def test_an_atlas_with_targets_fractions_and_what_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(HEAD + "chr1\t10\t90\t3\t9\tLiver\tm1\tU\t0.91\tNA\nchr1\t500\t600\t20\t26\tBlood\tm2\tM\t0.2\t0\n")
    found = read_atlas(path)
    assert found.types == ("Liver", "Blood")
    np.testing.assert_array_equal(found.fractions, [[0.91, np.nan], [0.2, 0]])
    assert found.frame["target"].tolist() == ["Liver", "Blood"]
    assert found.frame["direction"].tolist() == ["U", "M"]


BEDS = {
    "end before start": ("chr1\t10\t20\nchr1\t30\t29\n", "row 2 ends at 29 and starts at 30, expected end > start"),
    "no number": ("chr1\tten\t20\n", "row 1, column 'start' is 'ten', expected a whole number"),
    "two columns": ("chr1\t10\n", "row 1 has 2 columns, expected regions as BED3"),
    "no CpGs": ("chr1\t10\t20\t8\t8\n", "row 1 has startCpG 8 and endCpG 8, expected endCpG > startCpG"),
    "number zero": ("chr1\t10\t20\t0\t8\n", "column 'startCpG' is '0', expected a whole number of at least 1"),
    "mixed": ("chr1\t10\t20\t1\t8\nchr1\t30\t90\n", "some rows have CpG numbers and others none"),
    "empty": ("", "is empty, expected regions as BED3"),
    "comments only": ("# nothing\n", "has no regions"),
}


@pytest.mark.parametrize(("content", "said"), BEDS.values(), ids=BEDS.keys())
def test_a_bed_that_cannot_be_is_refused_by_row(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "p.bed").write_text(content)
    with pytest.raises(UserError, match=said):
        read_bed(tmp_path / "p.bed")


ROW = "chr1\t10\t90\t3\t9\tLiver\tm1\tU\t0.9\t0.1\n"
ATLASES = {
    "no direction": (HEAD.replace("\tdirection", ""), "has no column direction"),
    "no types": (HEAD.replace("\tLiver\tBlood", ""), "has no column of a type"),
    "fraction": (HEAD + ROW.replace("0.9", "1.2"), "row 2, column 'Liver' is '1.2', expected 0 to 1 or NA"),
    "word": (HEAD + ROW.replace("0.1", "low"), "row 2, column 'Blood' is 'low'"),
    "direction": (HEAD + ROW.replace("\tU\t", "\tup\t"), "column 'direction' is 'up', expected U or M"),
    "short row": (HEAD + ROW.replace("\t0.1", ""), "row 2 has 9 columns, expected 10 as in the header"),
}


@pytest.mark.parametrize(("content", "said"), ATLASES.values(), ids=ATLASES.keys())
def test_an_atlas_that_cannot_be_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.tsv").write_text(content)
    with pytest.raises(UserError, match=said):
        read_atlas(tmp_path / "a.tsv")
