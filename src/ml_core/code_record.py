"""What `code_version` has read of ml_core's files, kept beside the compiled ones while size and time stay the same.

Reading all of them anew takes 1.1 CPU-s, each time that a command of Dagster's starts. As Python itself does for
compiled files, a file counts as unchanged while its size and its time of change are. A file that was written just now
is read again: another change within the clock's grain would not be seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

GRAIN_NS = 2 * 10**9  # coarser than any file system's clock
PACKAGE = Path(__file__).resolve().parent
READER = PACKAGE / "code_version.py"

Reading = tuple[str, tuple[str, ...]]  # hash of a module's code, the ml_core modules that it imports


class CodeRecord:
    """Readings by file, of files below ml_core; `save` writes those that are new."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or PACKAGE / "__pycache__" / f"code_versions.{sys.implementation.cache_tag}.json"
        self._reader = _mark(READER)
        self._known: dict[str, tuple[list[int], str, list[str]]] | None = None
        self._new = False

    def find(self, file: Path) -> Reading | None:
        """What was read of the file, if it has not changed since."""
        if self._known is None:
            self._known = self._load()
        found = self._known.get(str(file))
        if found is None or found[0] != _mark(file):
            return None
        return found[1], tuple(found[2])

    def add(self, file: Path, reading: Reading) -> None:
        mark = _mark(file)
        if file.is_relative_to(PACKAGE) and time.time_ns() - mark[1] > GRAIN_NS:
            assert self._known is not None, "find comes first"
            self._known[str(file)] = (mark, reading[0], list(reading[1]))
            self._new = True

    def save(self) -> None:
        """Where the folder can be written and Python may keep compiled files; another process' words are no loss."""
        if not self._new or sys.dont_write_bytecode:
            return
        self._new = False
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            aside.write_text(json.dumps({"reader": self._reader, "files": self._known}))
            os.replace(aside, self._path)

    def _load(self) -> dict[str, tuple[list[int], str, list[str]]]:
        try:
            found = json.loads(self._path.read_text())
            return dict(found["files"]) if found["reader"] == self._reader else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _mark(file: Path) -> list[int]:
    """Size, and time of change in ns."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]
