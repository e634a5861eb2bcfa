"""Append-only files of JSON lines. A line is whole or does not count, whatever was killed while it was written."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

Row = dict[str, Any]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one line and flush it to the disk; what a killed writer left of a line is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row, allow_nan=False).encode() + b"\n"
    with FileLock(path.with_name(f".{path.name}.lock")), path.open("ab", buffering=0) as file:
        file.truncate(len(_whole_lines(path)))
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file.fileno())


def read(path: Path) -> list[Row]:
    """Every whole line, oldest first; nothing where there is no file."""
    return [json.loads(line) for line in _whole_lines(path).splitlines()] if path.is_file() else []


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]
