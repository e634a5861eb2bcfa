"""Tables of reads in MethylBERT's columns: the 3-mers of each read's reference, its methylation, and what it is of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.plain import rows, whole_number
from ml_core.families.tissuebert.tokens import (
    METHYLATED,
    NO_CPG,
    NOT_OBSERVED,
    UNMETHYLATED,
    WINDOW_BP,
    cpg_places,
)

WHAT = "a table of reads separated by tabs (ref_name, ref_pos, dna_seq, methyl_seq, dmr_label, ctype)"
NEEDED = ("ref_name", "ref_pos", "dna_seq", "methyl_seq", "dmr_label", "ctype")
KMER = 3
MIDDLE = 1  # methyl_seq tells of the middle letter of each 3-mer
STATE_OF = {"0": UNMETHYLATED, "1": METHYLATED, "2": NO_CPG}


@dataclass(frozen=True)
class ReadTable:
    """Reads [n]. frame: chromosome, start (0-based), block (its DMR), tissue; letters [n, 150] uint8, N behind the end;
    states [n, 150] uint8, 3 at CpGs of which the table says nothing."""

    frame: pd.DataFrame
    letters: np.ndarray
    states: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)


def read_table(path: Path) -> ReadTable:
    """UserError with the row where columns are missing, 3-mers do not overlap, or methylation is told of no CpG."""
    table = rows(path, what=WHAT)
    _, header = next(table)
    absent = [name for name in NEEDED if name not in header]
    if absent:
        raise UserError(f"{path}: has no column '{absent[0]}', expected {WHAT}; add it.")
    found, letters, states = [], [], []
    for row, cells in table:
        if len(cells) != len(header):
            raise UserError(f"{path}: row {row} has {len(cells)} cells, expected {len(header)} as in the header.")
        cell = dict(zip(header, cells, strict=True))
        start = whole_number(cell["ref_pos"], path=path, row=row, column="ref_pos", low=1) - 1
        place = {"chromosome": cell["ref_name"], "start": start, "block": f"dmr_{cell['dmr_label']}"}
        found.append(place | {"tissue": cell["ctype"].strip()})
        sequence = _joined(cell["dna_seq"].split(), path=path, row=row)
        letters.append(np.frombuffer(sequence[:WINDOW_BP].ljust(WINDOW_BP, "N").encode(), np.uint8))
        states.append(_states(cell["methyl_seq"].strip(), length=len(sequence), path=path, row=row))
    if not found:
        raise UserError(f"{path}: has no reads, expected {WHAT}; check the path.")
    return _checked(ReadTable(pd.DataFrame(found), np.stack(letters), np.stack(states)), path=path)


def _joined(kmers: list[str], *, path: Path, row: int) -> str:
    sequence = "".join(kmer[0] for kmer in kmers[:-1]) + (kmers[-1] if kmers else "")
    if any(sequence[at : at + KMER] != kmer for at, kmer in enumerate(kmers)) or len(sequence) < KMER:
        raise UserError(
            f"{path}: row {row}, column 'dna_seq' is no row of overlapping {KMER}-mers, expected each to go on one "
            "letter after the last; mend the row."
        )
    return sequence.upper()


def _states(text: str, *, length: int, path: Path, row: int) -> np.ndarray:
    if len(text) != length - KMER + 1 or set(text) - set(STATE_OF):
        raise UserError(
            f"{path}: row {row}, column 'methyl_seq' is '{text[:20]}...' ({len(text)} signs), expected one of 0, 1 and "
            f"2 for each of {length - KMER + 1} 3-mers; mend the row."
        )
    states = np.full(WINDOW_BP, NO_CPG, np.uint8)
    told = np.array([STATE_OF[sign] for sign in text], np.uint8)[: WINDOW_BP - MIDDLE]
    states[MIDDLE : MIDDLE + len(told)] = told
    return states


def _checked(table: ReadTable, *, path: Path) -> ReadTable:
    """The table with 3 at CpGs that it says nothing of; methylation of something else is a UserError."""
    places = cpg_places(table.letters)
    wrong = (table.states != NO_CPG) & ~places
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise UserError(
            f"{path}: row {row + 2} tells the methylation of letter {place + 1} of its window, which is no C of a CG, "
            f"expected {WHAT}; check that dna_seq and methyl_seq belong together."
        )
    silent = places & (table.states == NO_CPG)
    return ReadTable(table.frame, table.letters, np.where(silent, NOT_OBSERVED, table.states).astype(np.uint8))
