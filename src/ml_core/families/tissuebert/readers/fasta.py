"""A genome in FASTA: read by index where it is plain text (.fai, made when missing), in memory where it is gzipped."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.plain import GZIP, opened

WHAT = "sequences as FASTA"


@dataclass(frozen=True)
class Entry:
    """Where a sequence stands: its length and first byte, letters and bytes of a line (as in .fai)."""

    length: int
    offset: int
    line_letters: int
    line_bytes: int
    first: int = 0  # position of the first letter on the chromosome, where the name says chr:start-end


class Fasta:
    """Sequences by chromosome. A name `chr20:9995001-11095000` means that part (1-based) of chr20."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._gzipped = file.read(2) == GZIP
        self.entries: dict[str, Entry] = {}
        for name, entry in self._index().items():
            chromosome, first = _place(name)
            if chromosome in self.entries:
                raise UserError(f"{path}: has two sequences of '{chromosome}', expected one; take one out.")
            self.entries[chromosome] = Entry(*entry, first)
        if not self.entries:
            raise UserError(f"{path}: has no line that begins with '>', expected {WHAT}; check the path.")

    @cached_property
    def _bytes(self) -> bytes | mmap.mmap:
        if self._gzipped:
            with opened(self.path, what=WHAT) as file:
                return file.read()
        with self.path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def letters(self, chromosome: str, start: int = 0, end: int | None = None) -> np.ndarray:
        """uint8 [end - start] of a part (0-based, half-open); UserError where the file does not have all of it."""
        entry = self.entries.get(chromosome)
        if entry is None:
            raise UserError(unknown_chromosome(self.path, chromosome, known=list(self.entries)))
        start, end = start - entry.first, (entry.length if end is None else end - entry.first)
        if not 0 <= start <= end <= entry.length:
            raise UserError(
                f"{self.path}: has {chromosome}:{entry.first:,}-{entry.first + entry.length:,}, but "
                f"{chromosome}:{start + entry.first:,}-{end + entry.first:,} is asked for, expected a FASTA as long as "
                "the panel; give the genome of the panel's build."
            )
        if start == end:
            return np.zeros(0, np.uint8)
        first, last = (_byte(entry, place) for place in (start, end - 1))
        found = np.frombuffer(self._bytes[first : last + 1], np.uint8)
        letters: np.ndarray = found[(found != ord("\n")) & (found != ord("\r"))]
        return letters

    def _index(self) -> dict[str, tuple[int, int, int, int]]:
        beside = self.path.with_name(self.path.name + ".fai")
        if self._gzipped:
            return scan(self._bytes, path=self.path)
        if beside.is_file() and beside.stat().st_mtime_ns >= self.path.stat().st_mtime_ns:
            return read_fai(beside)
        return scan(self._bytes, path=self.path) if self.path.stat().st_size else {}


def write_fai(path: Path) -> Path:
    """The index beside a plain FASTA, made when missing."""
    beside = path.with_name(path.name + ".fai")
    if not beside.is_file():
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = scan(content, path=path)
        beside.write_text("".join("\t".join(map(str, (name, *entry))) + "\n" for name, entry in found.items()))
    return beside


def read_fai(path: Path) -> dict[str, tuple[int, int, int, int]]:
    """Name -> (length, first byte, letters of a line, bytes of a line)."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = line.split("\t")
        if len(cells) != 5 or not all(cell.isdigit() for cell in cells[1:]):
            raise UserError(f"{path}: row {number} is no row of a FASTA index; delete the file, it is made anew.")
        length, offset, letters, width = map(int, cells[1:])
        found[cells[0]] = (length, offset, letters, width)
    return found


def scan(content: bytes | mmap.mmap, *, path: Path) -> dict[str, tuple[int, int, int, int]]:
    """The same from the file itself; UserError where lines within a sequence differ in length."""
    found: dict[str, tuple[int, int, int, int]] = {}
    at = content.find(b">")
    while at >= 0:
        line_end = content.find(b"\n", at)
        line_end = len(content) if line_end < 0 else line_end
        name = bytes(content[at + 1 : line_end]).decode().split()[0:1]
        following = content.find(b"\n>", line_end)
        end = len(content) if following < 0 else following + 1
        if not name:
            raise UserError(f"{path}: byte {at} is '>' without a name, expected {WHAT}; mend the line.")
        if name[0] in found:
            raise UserError(f"{path}: has two sequences called '{name[0]}', expected one; take one out.")
        found[name[0]] = _measure(content, line_end + 1, end, path=path, name=name[0])
        at = -1 if following < 0 else following + 1
    return found


def _measure(content: bytes | mmap.mmap, start: int, end: int, *, path: Path, name: str) -> tuple[int, int, int, int]:
    body = np.frombuffer(content[start:end], np.uint8)
    ends = np.flatnonzero(body == ord("\n"))
    if not len(body):
        return 0, start, 0, 0
    width = int(ends[0]) + 1 if len(ends) else len(body) + 1
    returns = int(len(ends) > 0 and ends[0] > 0 and body[ends[0] - 1] == ord("\r"))
    letters = width - 1 - returns
    full = len(ends) - 1
    if full > 0 and not (np.diff(ends[:-1]) == width).all():
        raise UserError(f"{path}: lines of '{name}' differ in length, expected the same for all but the last; rewrap.")
    length = int(np.isin(body, (ord("\n"), ord("\r")), invert=True).sum())
    return length, start, letters, width


def _place(name: str) -> tuple[str, int]:
    """(chromosome, 0-based position of the first letter)."""
    chromosome, _, span = name.partition(":")
    start, dash, end = span.replace(",", "").partition("-")
    return (chromosome, int(start) - 1) if dash and start.isdigit() and end.isdigit() and int(start) else (name, 0)


def _byte(entry: Entry, place: int) -> int:
    return entry.offset + place // entry.line_letters * entry.line_bytes + place % entry.line_letters


def unknown_chromosome(path: Path, chromosome: str, *, known: list[str]) -> str:
    """The sentence for a chromosome that a file does not have; it says so where only "chr" makes the difference."""
    other = chromosome.removeprefix("chr") if chromosome.startswith("chr") else f"chr{chromosome}"
    if other in known:
        return (
            f"{path}: has '{other}' where the others have '{chromosome}', expected chromosome names of one kind (with "
            "or without chr) in all files; rename them in one."
        )
    shown = ", ".join(known[:3])
    return (
        f"{path}: has no chromosome '{chromosome}' (it has {shown}{', ...' if len(known) > 3 else ''}), expected the "
        "build of the panel; give files of one build."
    )
