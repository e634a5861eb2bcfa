"""Copies are the originals, byte for byte, and a copy that is not is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from ml_core.raw_copy import RawFiles, copied_files, observe_source, simulated_files
from ml_core.settings import Settings, setting


class SourceSettings(Settings):
    source: Literal["simulated", "path"] = setting("path", description="Where from")
    path: str = setting("", description="File")
    seed: int = setting(0, description="Seed")


def located(settings: SourceSettings, *, cache: Path) -> dict[str, Path]:
    return {"letters": Path(settings.path)}


@pytest.fixture
def raw(tmp_path: Path, text: Path) -> RawFiles:
    (tmp_path / "out").mkdir()
    return copied_files(
        {"letters": text}, tmp_path / "out", source="path", file_name=lambda name, path: name + path.suffix
    )


def test_a_file_is_copied_under_its_canonical_name_and_described(raw: RawFiles, text: Path) -> None:
    summary = raw.summary()
    assert (raw.directory / "letters.txt").read_bytes() == text.read_bytes()
    assert summary.numbers == {"raw.files": 1, "raw.bytes": 5}
    assert summary.tables["Files"][0]["from"] == str(text)
    assert [check.passed for check in summary.checks] == [True]
    raw.describe({"files": raw.files})
    assert json.loads((raw.directory / "source.json").read_text()) == {"files": {"letters": "letters.txt"}}


def test_a_copy_that_differs_from_its_original_fails_the_check(raw: RawFiles) -> None:
    (raw.directory / "letters.txt").write_text("hallo")
    assert [(check.name, check.passed) for check in raw.summary().checks] == [("verified_copy", False)]


def test_simulated_files_have_no_original_to_differ_from(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("hello")
    summary = simulated_files({"letters": "letters.txt"}, tmp_path, by="seed 3").summary()
    assert summary.tables["Files"][0]["from"] == "simulated (seed 3)"
    assert summary.headline == "1 files from source 'simulated'."
    assert [check.passed for check in summary.checks] == [True]


def test_files_are_observed_by_their_bytes_and_the_simulator_by_its_settings(text: Path, tmp_path: Path) -> None:
    def digest(**fields: object) -> str:
        return observe_source(SourceSettings(**fields), located=located, cache=tmp_path).digest

    before = digest(path=str(text))
    assert before == digest(path=str(text), seed=1)
    text.write_text("hallo")
    assert before != digest(path=str(text))
    assert digest(source="simulated") == digest(source="simulated")
    assert digest(source="simulated") != digest(source="simulated", seed=1)
