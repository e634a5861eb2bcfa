"""The sheet says whose file is which; what is missing or stands there twice is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.sheet import format_of, read_sheet

HEAD = "file\tdonor\ttissue\n"


def test_optional_columns_have_documented_defaults(tmp_path: Path) -> None:
    (tmp_path / "s.tsv").write_text(HEAD + "x/one.pat.gz\td1\tliver\ntwo.beta\td1\t\n")
    found = read_sheet(tmp_path / "s.tsv")
    assert found["name"].tolist() == ["one", "two"]
    assert found["group"].tolist() == ["liver", ""]
    assert found["synthetic"].tolist() == [False, False]
    assert np.isnan(found["coverage"]).all()


def test_a_csv_with_all_columns(tmp_path: Path) -> None:
    head = "name,file,donor,tissue,group,coverage,synthetic\n"
    (tmp_path / "s.csv").write_text(head + "A,a.bed.gz,d1,liver,gut,12.5,TRUE\n")
    row = read_sheet(tmp_path / "s.csv").iloc[0]
    assert (row["name"], row["group"], row["coverage"], bool(row["synthetic"])) == ("A", "gut", 12.5, True)


def test_formats_are_told_by_the_end_of_the_name() -> None:
    names = {
        "a.pat.gz": "pat",
        "a.b.beta": "beta",
        "a.bedGraph.gz": "bedmethyl",
        "a.COV.gz": "bedmethyl",
        "a.bam": "bam",
    }
    assert {name: format_of(name, where="") for name in names} == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file\tdonor\na.beta\td\n", "has no column 'tissue'"),
        (HEAD, "has no samples"),
        (HEAD + "a.beta\td\n", "row 2 has 2 cells, expected 3"),
        (HEAD + "a.beta\t\tliver\n", "row 2 has no donor"),
        (HEAD + "a.vcf\td\tliver\n", "row 2 names 'a.vcf', expected a file that ends with .pat.gz"),
        (HEAD + "a.beta\td\tliver\nx/a.bed\te\tliver\n", "names sample 'a' twice"),
        (HEAD.replace("\n", "\tsynthetic\n") + "a.beta\td\tliver\tmaybe\n", "'synthetic' is 'maybe'"),
        (HEAD.replace("\n", "\tcoverage\n") + "a.beta\td\tliver\tdeep\n", "'coverage' is 'deep'"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "s.tsv").write_text(content)
    with pytest.raises(UserError, match=said):
        read_sheet(tmp_path / "s.tsv")
