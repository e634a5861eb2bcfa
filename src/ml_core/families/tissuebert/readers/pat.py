"""Reads as .pat.gz: chromosome, number of the first CpG, pattern of C, T, H and `.`, count; one row for alike reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.plain import opened
from ml_core.families.tissuebert.tokens import METHYLATED, NOT_OBSERVED, UNMETHYLATED

WHAT = "reads as .pat.gz (chr, CpG number, pattern, count)"
COLUMNS = ("chr", "CpG number", "pattern", "count")
CHUNK_ROWS = 1_000_000
_ILLEGAL = 255
STATE_OF = np.full(256, _ILLEGAL, np.uint8)
STATE_OF[ord("T")] = UNMETHYLATED
STATE_OF[ord("C")] = STATE_OF[ord("H")] = METHYLATED  # H is 5hmC, which bisulfite does not tell from 5mC
STATE_OF[ord(".")] = NOT_OBSERVED


@dataclass(frozen=True)
class PatChunk:
    """Rows of a file: row, the number of the first one; chromosome [n] str objects; start_cpg [n] int64; state uint8,
    of all patterns behind one another; length [n] int64, of each pattern; count [n] int64."""

    row: int
    chromosome: np.ndarray
    start_cpg: np.ndarray
    state: np.ndarray
    length: np.ndarray
    count: np.ndarray

    def __len__(self) -> int:
        return len(self.start_cpg)


def read_pat(path: Path, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[PatChunk]:
    """Chunks of at most `chunk_rows` rows, so that memory is bounded. UserError with the row of what is wrong."""
    done = 0
    with opened(path, what=WHAT) as file:
        try:
            parts = pd.read_csv(
                file, sep="\t", header=None, dtype=str, chunksize=chunk_rows, na_filter=False, quoting=3
            )
            for part in parts:
                yield _chunk(path, part, row=done + 1)
                done += len(part)
        except pd.errors.EmptyDataError as error:
            raise UserError(f"{path}: is empty, expected {WHAT}; check the path.") from error
        except pd.errors.ParserError as error:
            raise UserError(f"{path}: is no table ({str(error).strip()}), expected {WHAT}; mend the row.") from error


def _chunk(path: Path, part: pd.DataFrame, *, row: int) -> PatChunk:
    if part.shape[1] < len(COLUMNS):
        raise UserError(f"{path}: row {row} has {part.shape[1]} columns, expected {WHAT}; mend the row.")
    start, count = (_numbers(path, part[column], row=row, column=COLUMNS[column]) for column in (1, 3))
    patterns = part[2]
    joined = "".join(patterns).encode()
    state = STATE_OF[np.frombuffer(joined, np.uint8)]
    length = patterns.str.len().to_numpy(np.int64)
    if (state == _ILLEGAL).any() or not length.all() or length.sum() != len(joined):
        _refuse_pattern(path, patterns, row=row)
    return PatChunk(row, part[0].to_numpy(object), start, state, length, count)


def _numbers(path: Path, cells: pd.Series, *, row: int, column: str) -> np.ndarray:
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    wrong = ~((numbers >= 1) & (numbers == np.floor(numbers)))
    if wrong.any():
        at = int(wrong.argmax())
        raise UserError(
            f"{path}: row {row + at}, column '{column}' is '{cells.iloc[at][:30]}', expected a whole number of at "
            "least 1; mend the row."
        )
    return numbers.astype(np.int64)


def _refuse_pattern(path: Path, patterns: pd.Series, *, row: int) -> None:
    for at, pattern in enumerate(patterns):
        foreign = [letter for letter in pattern if letter not in "CTH."]
        if foreign or not pattern:
            said = f"has '{foreign[0]}'" if foreign else "is empty"
            raise UserError(
                f"{path}: row {row + at}, pattern '{pattern[:30]}' {said}, expected C, T, H and '.' only; mend the row."
            )
