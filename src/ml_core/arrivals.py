"""Files outside the store that come, grow, change and go: when do they call for a run?

`look` is asked again and again, and handed what it answered before (its memory, plain JSON). Size, time of change and
inode tell that a file may be another; its sha256 decides. A file is read only when two looks in a row find it alike, so
that one that is still being written is left alone. Whatever changed since the last call for a run is one change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_core.artifacts import sha256
from ml_core.sources import digest_of_files

Stat = tuple[int, int, int]  # size [bytes], modification [ns], inode


@dataclass(frozen=True)
class Memory:
    """What is known of the files since the last look.

    known:   path to stat and sha256, of files that were read.
    waiting: path to stat, of files that differed from `known` at the last look.
    digest:  of the content that was called for last, None before the first.
    calls:   how many runs were called for.
    """

    known: dict[str, tuple[Stat, str]] = field(default_factory=dict)
    waiting: dict[str, Stat] = field(default_factory=dict)
    digest: str | None = None
    calls: int = 0

    def to_json(self) -> dict[str, Any]:
        known = {path: [list(stat), digest] for path, (stat, digest) in self.known.items()}
        waiting = {path: list(stat) for path, stat in self.waiting.items()}
        return {"known": known, "waiting": waiting, "digest": self.digest, "calls": self.calls}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Memory:
        known = {path: (_stat(stat), digest) for path, (stat, digest) in data["known"].items()}
        waiting = {path: _stat(stat) for path, stat in data["waiting"].items()}
        return cls(known, waiting, data["digest"], data["calls"])


@dataclass(frozen=True)
class Look:
    """What was seen, in one sentence; what to hand to the next look; and whether it calls for a run."""

    memory: Memory
    said: str
    run: bool = False


def look(paths: Iterable[Path], memory: Memory, *, already: str | None) -> Look:
    """Look at files that are there. `already`: digest of the content that a run was made of before the first look."""
    found = [str(path) for path in paths]
    stats = {path: stat_of(path) for path in found}
    changed = [path for path in found if path not in memory.known or memory.known[path][0] != stats[path]]
    if not changed and digest_of_files(memory.known[path][1] for path in found) == memory.digest:
        return Look(_waiting(memory, {}), f"nothing has changed in {len(found)} files.")
    if stats != memory.waiting:
        return Look(
            _waiting(memory, stats), f"{_named(changed)}: new or changed; it may still be written, so it waits."
        )
    known = {path: (stats[path], sha256(Path(path)) if path in changed else memory.known[path][1]) for path in found}
    after = {path: stat_of(path) for path in found}
    if after != stats:
        return Look(_waiting(memory, after), f"{_named(changed)}: was written while it was read, so it waits.")
    digest = digest_of_files(known[path][1] for path in found)
    if digest == (memory.digest or already):
        return Look(Memory(known, {}, digest, memory.calls), f"{_named(changed)}: has the same bytes as before.")
    return Look(Memory(known, {}, digest, memory.calls + 1), f"{_named(changed)}: has other bytes.", run=True)


def gone(memory: Memory, *, why: str) -> Look:
    """Files are missing: nothing is called for, and what comes back must be seen twice again."""
    return Look(_waiting(memory, {}), why)


def stat_of(path: str) -> Stat:
    """Zeros for a file that has just gone."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def _waiting(memory: Memory, stats: dict[str, Stat]) -> Memory:
    return Memory(memory.known, stats, memory.digest, memory.calls)


def _named(paths: list[str]) -> str:
    if not paths:  # files are fewer, or in another order
        return "the list of files"
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _stat(values: list[int]) -> Stat:
    size, modified, inode = values
    return (size, modified, inode)
