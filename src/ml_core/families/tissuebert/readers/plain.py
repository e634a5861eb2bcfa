"""Text files, gzipped or not, with errors that name file and row."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ml_core.errors import UserError

GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path, *, what: str) -> Iterator[IO[bytes]]:
    """The bytes behind a gzip or plain file; `what` is expected there ("reads as .pat.gz")."""
    if not path.is_file():
        raise UserError(f"{path}: does not exist, expected {what}; check the path.")
    with path.open("rb") as raw:
        magic = raw.read(2)
    try:
        with gzip.open(path, "rb") if magic == GZIP else path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: is truncated or damaged ({error}), expected {what}; fetch the file again.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text (byte {error.start}), expected {what}; check the path.") from error


def rows(path: Path, *, what: str) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, cells) of each row of a table separated by tabs, or by commas in a .csv; empty rows are left out.

    UserError where there is none.
    """
    separator = "," if ".csv" in path.suffixes and "\t" not in _first_line(path, what=what) else "\t"
    found = False
    with opened(path, what=what) as file:
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            if text.strip():
                found = True
                yield number, text.split(separator)
    if not found:
        raise UserError(f"{path}: is empty, expected {what}; check the path.")


def _first_line(path: Path, *, what: str) -> str:
    with opened(path, what=what) as file:
        return file.readline().decode("utf-8-sig")


def whole_number(text: str, *, path: Path, row: int, column: str, low: int = 0) -> int:
    """The cell's number; UserError where it is none or below `low`."""
    if not text.strip().isdigit() or int(text) < low:
        raise UserError(
            f"{path}: row {row}, column '{column}' is '{text[:30]}', expected a whole number of at least {low}; mend "
            "the cell."
        )
    return int(text)
