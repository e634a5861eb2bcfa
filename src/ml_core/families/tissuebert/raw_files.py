"""Where the raw stage put which file, read without its code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RawFiles:
    """files: canonical name -> copy (fasta, panel, atlas, samples, reads_train, reads_test); samples: name in the
    sheet's column `file` -> copy; build as the user calls it."""

    files: dict[str, Path]
    samples: dict[str, Path]
    build: str


def files_of(directory: Path) -> RawFiles:
    source = json.loads((directory / "source.json").read_text())
    files, samples = (
        {name: directory / file for name, file in source[part].items()} for part in ("files", "sample_files")
    )
    return RawFiles(files, samples, source["build"])
