"""Columns of a Parquet or CSV file, and one clear sentence for every way in which a file can be broken."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ml_core.errors import UserError
from ml_core.families.segger.data import ROWS_AT_ONCE

NOBODY = ("", "UNASSIGNED", "-1", "nan", "None")  # how the platforms write "no cell"


@dataclass(frozen=True)
class Columns:
    """Some columns of the file at `path`: of a CSV the whole table, of a Parquet file read piece by piece when asked
    for, so that no column is ever held as the text or the float64 that it is in the file.
    """

    path: Path
    names: tuple[str, ...]
    source: pa.Table | pq.ParquetFile

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return int(self.source.num_rows if isinstance(self.source, pa.Table) else self.source.metadata.num_rows)

    @property
    def schema(self) -> dict[str, str]:
        return {name: str(self.type_of(name)) for name in self.names}

    def type_of(self, name: str) -> pa.DataType:
        schema = self.source.schema if isinstance(self.source, pa.Table) else self.source.schema_arrow
        return schema.field(name).type

    def column(self, name: str) -> pa.ChunkedArray:
        """The whole column as it is in the file."""
        return pa.chunked_array(list(self._parts(name)), self.type_of(name))

    def numbers(self, name: str, dtype: type[np.floating] = np.float64) -> np.ndarray:
        """[rows] of the dtype, all of them finite. UserError with the first bad row otherwise."""
        kind = _without_dictionary(self.type_of(name))
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            example = next((part[0].as_py() for part in self._parts(name) if len(part)), None)
            raise UserError(
                f"{self.path}: column '{name}' has type {kind} (first value {example!r}), expected numbers; "
                "write the column as numbers with a point as the decimal sign."
            )
        values, start = np.empty(len(self), dtype), 0
        bad: list[int] = []
        for part in self._parts(name):
            found = part.cast(kind).cast(pa.float64()).to_numpy(zero_copy_only=False)
            bad += (start + np.flatnonzero(~np.isfinite(found))).tolist()
            values[start : start + len(found)] = found
            start += len(found)
        if bad:
            raise UserError(
                f"{self.path}: column '{name}' has no number in data row {bad[0] + 1} (and {len(bad) - 1:,} more "
                "rows), "
                "expected a finite number; remove or mend these rows."
            )
        return values

    def points(self, x: str, y: str) -> np.ndarray:
        """[rows, 2] float32 of two columns of numbers."""
        return np.stack([self.numbers(x, np.float32), self.numbers(y, np.float32)], axis=1)

    def integers(self, name: str, dtype: type[np.integer]) -> np.ndarray:
        """[rows] of the dtype; for columns that this project has written."""
        return np.concatenate([part.to_numpy().astype(dtype) for part in self._parts(name)])

    def codes(self, name: str, *, nobody: Sequence[str] = ()) -> tuple[np.ndarray, list[str]]:
        """Codes [rows] int32 into the sorted distinct names, which may be stored as text, bytes or integers.

        Names in `nobody` and missing values get code -1.
        """
        code, start = np.empty(len(self), np.int32), 0
        place: dict[str, int] = {}  # in the order in which names are met
        for part in self._parts(name):
            encoded = self._text(name, part).dictionary_encode()
            met = [place.setdefault(value, len(place)) for value in encoded.dictionary.to_pylist()]
            of_part = np.array([*met, -1], np.int32)
            code[start : start + len(part)] = of_part[
                encoded.indices.fill_null(len(met)).to_numpy(zero_copy_only=False)
            ]
            start += len(part)
        names = sorted(set(place) - set(nobody))
        final = {value: number for number, value in enumerate(names)}
        recode = np.array([*(final.get(value, -1) for value in place), -1], np.int32)
        for first in range(0, len(code), ROWS_AT_ONCE):
            code[first : first + ROWS_AT_ONCE] = recode[code[first : first + ROWS_AT_ONCE]]
        return code, names

    def identifiers(self, name: str) -> np.ndarray:
        """[rows] integers or strings, all different. UserError with the first one that stands there twice."""
        parts, missing = [], 0
        for part in self._parts(name):
            missing += part.null_count
            if pa.types.is_integer(part.type):
                parts.append(part.to_numpy(zero_copy_only=False))
            else:
                parts.append(np.array(self._text(name, part).to_pylist(), object))
        if missing:
            raise UserError(f"{self.path}: column '{name}' has {missing:,} empty values; give every row its id.")
        values = np.concatenate(parts)
        parts.clear()
        in_order = np.sort(values)
        twice = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
        if len(twice):
            repeated = set(twice.tolist())
            first = next(value for value in values.tolist() if value in repeated)
            rows = np.flatnonzero(values == first)[:2] + 1
            raise UserError(
                f"{self.path}: column '{name}' has {len(twice):,} ids more than once (first "
                f"{first!r} in data rows "
                f"{rows[0]} and {rows[1]}), expected each id once; remove the repeated rows."
            )
        return values

    def _parts(self, name: str) -> Iterator[pa.Array]:
        """The column in pieces of at most ROWS_AT_ONCE rows."""
        if isinstance(self.source, pa.Table):
            for batch in self.source.select([name]).to_batches(max_chunksize=ROWS_AT_ONCE):
                yield batch.column(0)
            return
        try:
            for batch in self.source.iter_batches(ROWS_AT_ONCE, columns=[name]):
                yield batch.column(0)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.path, error) from error

    def _text(self, name: str, part: pa.Array) -> pa.Array:
        try:
            return part.cast(_without_dictionary(part.type)).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{self.path}: column '{name}' is not UTF-8 text ({error}); write the file anew as UTF-8."
            ) from error


def _without_dictionary(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


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
    wanted = tuple(name for name in (*required, *optional) if name in present)
    columns = Columns(path, wanted, _open(path, wanted, text=text))
    if not len(columns):
        raise UserError(f"{path}: has a header but no rows; copy the file again or choose another one.")
    return columns


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


def _open(path: Path, columns: Sequence[str], *, text: Sequence[str]) -> pa.Table | pq.ParquetFile:
    try:
        if _is_parquet(path):
            return pq.ParquetFile(path)
        types = {name: pa.string() for name in text}
        options = pa.csv.ConvertOptions(include_columns=list(columns), column_types=types)
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
