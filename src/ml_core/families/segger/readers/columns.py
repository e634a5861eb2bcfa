"""Columns of a Parquet or CSV file, and one clear sentence for every way in which a file can be broken."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ml_core.errors import UserError

NOBODY = ("", "UNASSIGNED", "-1", "nan", "None")  # how the platforms write "no cell"


@dataclass(frozen=True)
class Columns:
    """Some columns of the file at `path`."""

    path: Path
    table: pa.Table

    def __contains__(self, name: str) -> bool:
        return name in self.table.column_names

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def schema(self) -> dict[str, str]:
        return {field.name: str(field.type) for field in self.table.schema}

    def numbers(self, name: str) -> np.ndarray:
        """[rows] float64, all of them finite. UserError with the first bad row otherwise."""
        column = self.table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (
            pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)
        ):
            example = column[0].as_py() if len(column) else None
            raise UserError(
                f"{self.path}: column '{name}' has type {column.type} (first value {example!r}), expected numbers; "
                "write the column as numbers with a point as the decimal sign."
            )
        values = column.cast(pa.float64()).to_numpy()
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise UserError(
                f"{self.path}: column '{name}' has no number in data row {bad[0] + 1} (and {len(bad) - 1:,} more "
                "rows), "
                "expected a finite number; remove or mend these rows."
            )
        return values

    def codes(self, name: str, *, nobody: Sequence[str] = ()) -> tuple[np.ndarray, list[str]]:
        """Codes [rows] int32 into the sorted distinct names, which may be stored as text, bytes or integers.

        Names in `nobody` and missing values get code -1.
        """
        encoded = self._text(name).combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        found = encoded.dictionary.to_pylist()
        names = sorted(set(found) - set(nobody))
        place = {value: code for code, value in enumerate(names)}
        recode = np.array([*(place.get(value, -1) for value in found), -1], np.int32)
        return recode[encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)], names

    def identifiers(self, name: str) -> np.ndarray:
        """[rows] integers or strings, all different. UserError with the first one that stands there twice."""
        column = self.table[name]
        values = (
            column.to_numpy() if pa.types.is_integer(column.type) else np.array(self._text(name).to_pylist(), object)
        )
        if column.null_count:
            raise UserError(
                f"{self.path}: column '{name}' has {column.null_count:,} empty values; give every row its id."
            )
        counted = pc.value_counts(column)
        if len(counted) != len(values):
            repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
            rows = np.flatnonzero(pc.equal(column, repeated[0]).to_numpy())[:2] + 1
            raise UserError(
                f"{self.path}: column '{name}' has {len(repeated):,} ids more than once (first "
                f"{repeated[0].as_py()!r} in data rows "
                f"{rows[0]} and {rows[1]}), expected each id once; remove the repeated rows."
            )
        return values

    def _text(self, name: str) -> pa.ChunkedArray:
        column = self.table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{self.path}: column '{name}' is not UTF-8 text ({error}); write the file anew as UTF-8."
            ) from error


def read_columns(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), text: Sequence[str] = ()
) -> Columns:
    """The required columns and those optional ones that are there. `text`: columns of a CSV that are never numbers.

    Raises UserError where the file cannot be read, has no rows, or lacks a required column.
    """
    if path.stat().st_size == 0:
        raise UserError(
            f"{path}: is empty (0 bytes), expected a table with {', '.join(required)}; copy the file again."
        )
    present = column_names(path)
    missing = [name for name in required if name not in present]
    if missing:
        raise UserError(
            f"{path}: has no column '{missing[0]}'; expected {', '.join(required)}, found {', '.join(present[:20])}; "
            "rename the column, or set the platform that wrote this file."
        )
    wanted = [name for name in (*required, *optional) if name in present]
    table = _read(path, wanted, text=text)
    if not table.num_rows:
        raise UserError(f"{path}: has a header but no rows; copy the file again or choose another one.")
    return Columns(path, table)


def _is_parquet(path: Path) -> bool:
    return path.suffix == ".parquet"


def column_names(path: Path) -> list[str]:
    """The columns of a Parquet or CSV file. UserError where it cannot be read."""
    try:
        if _is_parquet(path):
            return list(pq.read_schema(path).names)
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            return [name.strip().strip('"') for name in file.readline().rstrip("\r\n").split(",")]
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); write the file anew as UTF-8."
        ) from error
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _read(path: Path, columns: list[str], *, text: Sequence[str]) -> pa.Table:
    try:
        if _is_parquet(path):
            return pq.read_table(path, columns=columns)
        types = {name: pa.string() for name in text}
        options = pa.csv.ConvertOptions(include_columns=columns, column_types=types)
        with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
            return pa.csv.read_csv(stream, convert_options=options)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        if "UTF8" in str(error):
            raise UserError(f"{path}: is not UTF-8 text ({_one_line(error)}); write the file anew as UTF-8.") from error
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    kind = "Parquet" if _is_parquet(path) else "gzipped CSV" if path.suffix == ".gz" else "CSV"
    return UserError(
        f"{path}: is not a whole {kind} file ({_one_line(error)}); it may have been cut off while copying: "
        "compare its size with the original and copy it again."
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
