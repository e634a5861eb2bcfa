"""Metadata of samples, TSV or CSV, with QIIME 2's names for the column of ids and its row of types."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ml_core.errors import UserError
from ml_core.families.sequence.readers.archive import text

ID_NAMES = {"sampleid", "samplename", "sample", "id", "featureid"}  # after lower-casing, without # and separators
TYPES = {"numeric", "categorical"}
TYPES_ROW = "#q2:types"
NEARLY = 0.9  # a text column with so many numbers among its values is remarked on


@dataclass(frozen=True)
class Metadata:
    """columns: indexed by sample id; float64 where all known values are numbers, else str objects with None.

    remarks: one sentence for each column that has numbers and other values.
    """

    columns: pd.DataFrame
    remarks: list[str]


@dataclass(frozen=True)
class _Row:
    number: int
    cells: list[str]


def read_metadata(path: Path, *, sample_column: str | None, missing: Collection[str]) -> Metadata:
    """One row per sample. `missing`: lower-case values that mean "not known"; numbers are told from text by content.

    UserError where the column of ids is not found, an id stands twice, a row has too many or too few cells, or a value
    contradicts the row of types.
    """
    content = text(path, members=("metadata.tsv",), what="metadata as TSV or CSV")
    header, rows = _rows(path, content)
    at = _id_column(path, header.cells, wanted=sample_column)
    types = dict.fromkeys(header.cells, "")
    if rows[0].cells[0].lower() == TYPES_ROW:
        types = _types(path, rows[0], header=header)
        rows = rows[1:]
    ids = [row.cells[at] for row in rows]
    _once(path, ids, rows=rows, column=header.cells[at])
    remarks: list[str] = []
    columns = {}
    for number, name in enumerate(header.cells):
        if number != at:
            values = [row.cells[number] for row in rows]
            known = [None if value.lower() in missing else value for value in values]
            columns[name], remark = _typed(path, name, known, rows=rows, kind=types[name])
            remarks += [remark] if remark else []
    return Metadata(pd.DataFrame(columns).set_axis(ids), remarks)


def _rows(path: Path, content: str) -> tuple[_Row, list[_Row]]:
    first = next((line for line in content.splitlines() if line.strip()), "")
    reader = csv.reader(content.splitlines(), delimiter="\t" if "\t" in first else ",")
    try:
        rows = [
            _Row(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))
        ]
    except csv.Error as error:
        raise UserError(
            f"{path}: row {reader.line_num} cannot be read ({error}); look for a quotation mark that is not closed."
        ) from error
    rows = rows[:1] + [row for row in rows[1:] if _is_content(row)]
    if len(rows) < 2:
        raise UserError(f"{path}: has {len(rows)} rows, expected a header and one row per sample; check the path.")
    header = rows[0]
    while header.cells and not header.cells[-1]:  # a tab at the end of the line
        header.cells.pop()
    width = len(header.cells)
    for row in rows[1:]:
        if len(row.cells) > width and not any(row.cells[width:]):
            del row.cells[width:]
        if len(row.cells) != width:
            raise UserError(
                f"{path}: row {row.number} has {len(row.cells)} cells, expected {width} as in the header; mend the row."
            )
    twice = {name for name in header.cells if header.cells.count(name) > 1}
    if twice or "" in header.cells:
        wrong = f"column '{min(twice)}' stands there twice" if twice - {""} else "a column has no name"
        raise UserError(f"{path}: {wrong}, expected a name of its own for each column; mend the header.")
    if width < 2:
        raise UserError(
            f"{path}: has the one column '{header.cells[0]}', expected ids and what is known; check the path."
        )
    return header, rows[1:]


def _is_content(row: _Row) -> bool:
    return not row.cells[0].startswith("#") or row.cells[0].lower() == TYPES_ROW


def _id_column(path: Path, names: list[str], *, wanted: str | None) -> int:
    if wanted is not None:
        if wanted not in names:
            raise UserError(
                f"{path}: has no column '{wanted}' (table.sample_column), it has {', '.join(names)}; name one of those."
            )
        return names.index(wanted)
    for number, name in enumerate(names):
        if re.sub(r"[#_\-\s]", "", name.lower()) in ID_NAMES:
            return number
    raise UserError(
        f"{path}: has no column of sample ids (sample-id, sample_id, #SampleID, id), it has {', '.join(names)}; name "
        "it in table.sample_column."
    )


def _types(path: Path, row: _Row, *, header: _Row) -> dict[str, str]:
    types = {name: cell.lower() for name, cell in zip(header.cells, row.cells, strict=True)}
    types[header.cells[0]] = ""
    for name, kind in types.items():
        if kind and kind not in TYPES:
            raise UserError(
                f"{path}: row {row.number}, column '{name}' says type '{kind}', expected numeric or categorical; mend "
                "it."
            )
    return types


def _once(path: Path, ids: list[str], *, rows: list[_Row], column: str) -> None:
    seen: dict[str, int] = {}
    for name, row in zip(ids, rows, strict=True):
        if not name:
            raise UserError(f"{path}: row {row.number} has no id in column '{column}', expected one; mend the row.")
        if name in seen:
            raise UserError(
                f"{path}: sample '{name}' stands in rows {seen[name]} and {row.number} of column '{column}', expected "
                "one row per sample; remove one, or name the right column in table.sample_column."
            )
        seen[name] = row.number


def _typed(
    path: Path, name: str, known: list[str | None], *, rows: list[_Row], kind: str
) -> tuple[pd.Series, str | None]:
    """The column as numbers or text, and what is odd about it."""
    numbers = [math.nan if value is None else _number(value) for value in known]
    wrong = [at for at, number in enumerate(numbers) if number is None]
    count = sum(value is not None for value in known)
    if kind == "numeric" and wrong:
        raise UserError(
            f"{path}: row {rows[wrong[0]].number}, column '{name}' is '{known[wrong[0]]}', expected a number as its "
            "type says; mend the value, or add it to table.missing_values."
        )
    if kind != "categorical" and count and not wrong:
        return pd.Series(numbers, dtype="float64"), None
    nearly = kind != "categorical" and 0 < len(wrong) <= (1 - NEARLY) * count
    remark = (
        f"column '{name}' is text, because {len(wrong)} of its {count} values are no numbers: '{known[wrong[0]]}' in "
        f"row {rows[wrong[0]].number}"
        if nearly
        else None
    )
    return pd.Series(known, dtype=object), remark


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
