"""What a sequence is called, and how it is written: upper-case ACGTN."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from ml_core.errors import UserError

AMBIGUOUS = "RYSWKMBDHV"  # IUPAC: one of several bases
_DNA = re.compile(rf"[ACGTUN{AMBIGUOUS}]{{20,}}", re.IGNORECASE)  # shorter than any amplicon, longer than any word
_CLEAN = str.maketrans("U" + AMBIGUOUS, "T" + "N" * len(AMBIGUOUS), "-. ")


def is_sequence(name: str) -> bool:
    """Whether an id is the sequence itself."""
    return _DNA.fullmatch(name) is not None


def known_sequences(records: Iterable[Mapping[str, str]], *, tips: Iterable[str]) -> dict[str, str]:
    """Name -> sequence, from FASTA records and from tips that are called by their sequence.

    Each sequence is found under its record's id and under its md5 (QIIME 2's id of an ASV). UserError where two files
    give one id to different sequences.
    """
    known: dict[str, str] = {}
    for found in [*records, {tip: tip for tip in tips if is_sequence(tip)}]:
        for name, sequence in found.items():
            if known.setdefault(name, sequence).upper() != sequence.upper():
                raise UserError(
                    f"raw.sequences: id '{name}' has another sequence in another file, expected the same in all; "
                    "rename the ASVs of one table, for instance by their md5."
                )
            for each in (md5(sequence), md5(sequence.upper())):
                known.setdefault(each, sequence)
    return known


def md5(sequence: str) -> str:
    return hashlib.md5(sequence.encode(), usedforsecurity=False).hexdigest()


def clean(sequence: str, *, name: str, noticed: Counter[str]) -> str:
    """Upper case, U as T, gaps left out, other ambiguous letters as N; `noticed` counts the sequences that had them.

    UserError where a letter stands for no base.
    """
    upper = sequence.upper()
    written = upper.translate(_CLEAN)
    wrong = re.search("[^ACGTN]", written)
    if wrong:
        raise UserError(
            f"ASV '{name}': its sequence has '{wrong[0]}' at position {upper.index(wrong[0]) + 1}, expected DNA "
            "(A, C, G, T, N or an ambiguous base); mend the sequence."
        )
    if not written.strip("N"):
        raise UserError(f"ASV '{name}': its sequence has no base but N, expected DNA; leave the ASV out.")
    noticed["lower-case letters"] += sequence != upper
    noticed["gaps, left out"] += any(letter in sequence for letter in "-. ")
    noticed["U, read as T"] += "U" in upper
    noticed["other ambiguous bases, read as N"] += any(letter in upper for letter in AMBIGUOUS)
    noticed["N"] += "N" in written
    return written
