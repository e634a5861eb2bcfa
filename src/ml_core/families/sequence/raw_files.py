"""Where the raw stage put which file, read without its code."""

from __future__ import annotations

import json
from pathlib import Path


def files_of(directory: Path) -> dict[str, Path]:
    """Canonical name -> the copy in the raw stage's artifact."""
    files = json.loads((directory / "source.json").read_text())["files"]
    return {name: directory / file for name, file in files.items()}
