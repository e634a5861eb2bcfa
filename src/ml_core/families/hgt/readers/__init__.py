"""Readers: from the raw stage's files to `Rows`, whatever their format."""

from __future__ import annotations

import json
from pathlib import Path

from ml_core.families.hgt.readers.hpo import read_hpo
from ml_core.families.hgt.readers.primekg import read_primekg
from ml_core.families.hgt.readers.rows import Rows
from ml_core.families.hgt.settings import GraphSettings

__all__ = ["Rows", "read_raw"]


def read_raw(directory: Path, *, settings: GraphSettings) -> Rows:
    """The rows of the raw stage's artifact in `directory`."""
    source = json.loads((directory / "source.json").read_text())
    files = {name: directory / file for name, file in source["files"].items()}
    if source["format"] == "hpo":
        return read_hpo(files["annotations"], genes=files["genes"], ontology=files["ontology"])
    return read_primekg(
        files["kg"],
        key=settings.key,
        check_index=settings.check_index,
        relation_column=settings.relation_column,
    )
