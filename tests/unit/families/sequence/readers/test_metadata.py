"""Metadata under every usual name of their ids, numbers told from text, and faults named with row and column."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.readers.metadata import Metadata, read_metadata
from ml_core.families.sequence.settings import TableSettings

MISSING = frozenset(TableSettings().missing_values)


def read(folder: Path, text: str, *, sample_column: str | None = None, name: str = "metadata.tsv") -> Metadata:
    (folder / name).write_text(text)
    return read_metadata(folder / name, sample_column=sample_column, missing=MISSING)


@pytest.mark.parametrize("name", ["#SampleID", "sample-id", "sample_id", "sampleid", "Sample ID", "id", "sample_name"])
def test_ids_are_found_under_their_usual_names(name: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"{name}\tage\ns1\t3\n001\t4\n")
    assert found.columns.index.tolist() == ["s1", "001"]
    assert found.columns["age"].tolist() == [3, 4]


def test_ids_can_stand_in_any_column(tmp_path: Path) -> None:
    text = "barcode,age,who\nAC,3,x\nGT,4,y\n"
    assert read(tmp_path, text, sample_column="barcode", name="m.csv").columns.index.tolist() == ["AC", "GT"]
    assert read(tmp_path, "age\tsample_id\n3\ts1\n").columns.index.tolist() == ["s1"]
    with pytest.raises(UserError, match=r"has no column 'code' \(table.sample_column\), it has barcode, age, who"):
        read(tmp_path, text, sample_column="code", name="m.csv")


def test_numbers_are_told_from_text_and_missing_values_from_both(tmp_path: Path) -> None:
    columns = read(
        tmp_path, "id\tage\tdiet\tempty\ns1\t3\tmilk\tNA\ns2\tmissing\tNot Collected\t\ns3\t4.5e1\tsolid\tnan\n"
    ).columns
    assert columns["age"].dtype == "float64"
    assert columns["age"].tolist()[::2] == [3, 45]
    assert math.isnan(columns["age"]["s2"])
    assert columns["diet"].tolist() == ["milk", None, "solid"]
    assert columns["empty"].tolist() == [None, None, None]


def test_a_column_of_numbers_with_a_few_words_is_text_and_remarked_on(tmp_path: Path) -> None:
    rows = "".join(f"s{number}\t{number}\n" for number in range(20))
    found = read(tmp_path, f"id\tage\n{rows}s20\told\n")
    assert found.columns["age"].dtype == object
    assert found.remarks == ["column 'age' is text, because 1 of its 21 values are no numbers: 'old' in row 22"]


def test_the_row_of_types_of_qiime_2_decides(tmp_path: Path) -> None:
    text = "sample-id\tchild\tage\n#q2:types\tcategorical\tnumeric\ns1\t1\t3\ns2\t2\t\n"
    found = read(tmp_path, text)
    assert found.columns["child"].tolist() == ["1", "2"]
    assert found.columns["age"].dtype == "float64"
    with pytest.raises(UserError, match="row 4, column 'age' is 'x', expected a number as its type says"):
        read(tmp_path, text.replace("s2\t2\t", "s2\t2\tx"))
    with pytest.raises(UserError, match="row 2, column 'age' says type 'float', expected numeric or categorical"):
        read(tmp_path, text.replace("numeric", "float"))


def test_comments_blank_lines_and_tabs_at_the_end_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeff#SampleID\tage\t\n# a comment\n\ns1\t3\t\n   \n")
    assert found.columns.to_dict() == {"age": {"s1": 3.0}}


WRONG = {
    "no ids": ("name\tage\nx\t1\n", "has no column of sample ids .*, it has name, age; name it in table.sample_column"),
    "an id twice": ("id\tage\ns1\t1\ns2\t1\ns1\t2\n", "sample 's1' stands in rows 2 and 4 of column 'id'"),
    "no id": ("id\tage\ns1\t1\n\t2\n", "row 3 has no id in column 'id'"),
    "a short row": ("id\tage\tdiet\ns1\t1\n", "row 2 has 2 cells, expected 3 as in the header"),
    "a long row": ("id\tage\ns1\t1\t2\n", "row 2 has 3 cells, expected 2 as in the header"),
    "a column twice": ("id\tage\tage\ns1\t1\t2\n", "column 'age' stands there twice"),
    "a nameless column": ("id\t\tage\ns1\t1\t2\n", "a column has no name"),
    "no samples": ("id\tage\n", "has 1 rows, expected a header and one row per sample"),
    "nothing but ids": ("id\ns1\n", "has the one column 'id'"),
    "nothing": ("\n", "is empty, expected metadata"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_fault_is_named_with_its_place(what: str, tmp_path: Path) -> None:
    text, sentence = WRONG[what]
    with pytest.raises(UserError, match=f"metadata.tsv: {sentence}"):
        read(tmp_path, text)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_bytes("id\tage\nsé\t1\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"m.tsv: byte 8 is no UTF-8 text"):
        read_metadata(tmp_path / "m.tsv", sample_column=None, missing=MISSING)
