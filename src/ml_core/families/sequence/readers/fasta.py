"""Representative sequences: FASTA, gzipped or not, or QIIME 2 .qza."""

from __future__ import annotations

from pathlib import Path

from ml_core.errors import UserError
from ml_core.families.sequence.readers.archive import text


def read_fasta(path: Path) -> dict[str, str]:
    """Id (up to the first blank) -> sequence as it stands. UserError where it is no FASTA or an id has two "
    "sequences."""
    lines = text(path, members=("dna-sequences.fasta",), what="sequences as FASTA").splitlines()
    found: dict[str, str] = {}
    parts: list[str] = []
    name: str | None = None
    for number, line in enumerate([*lines, ">"], 1):
        if not line.startswith(">"):
            if name is None and line.strip():
                raise UserError(
                    f"{path}: row {number} is '{line[:30]}', expected '>' and an id, as FASTA begins; check the path."
                )
            parts.append(line.strip())
            continue
        if name is not None:
            _keep(path, found, name=name, sequence="".join(parts), row=number)
        name, parts = (line[1:].split() or [""])[0], []
    return found


def _keep(path: Path, found: dict[str, str], *, name: str, sequence: str, row: int) -> None:
    if not name or not sequence:
        missing = "id" if not name else "sequence"
        raise UserError(
            f"{path}: the record '{name}' before row {row} has no {missing}, expected one; mend the record."
        )
    if found.setdefault(name, sequence) != sequence:
        raise UserError(
            f"{path}: id '{name}' has two sequences (the second ends before row {row}); rename one of them."
        )
