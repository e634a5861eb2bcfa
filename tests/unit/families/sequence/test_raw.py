"""The raw stage copies what the settings name, unaltered, and says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_core.artifacts import sha256
from ml_core.errors import UserError
from ml_core.families.sequence.family import FAMILY
from ml_core.families.sequence.raw import build, located, observe
from ml_core.families.sequence.raw_files import files_of
from ml_core.families.sequence.settings import RawSettings
from ml_core.running import StageRun
from tests.unit.families.sequence.planted import write_files


def settings_of(files: dict[str, Path], **further: object) -> RawSettings:
    return RawSettings(source="path", **{name: str(path) for name, path in files.items()}, **further)


def run(settings: RawSettings, folder: Path) -> StageRun:
    (folder / "out").mkdir()
    return StageRun(settings, {}, folder / "out", folder, folder)


def test_files_are_copied_under_canonical_names_and_stay_as_they_were(tmp_path: Path) -> None:
    files = write_files(tmp_path / "mine")
    extra = write_files(tmp_path / "other")["table"]
    before = {path: sha256(path) for path in files.values()}
    summary = build(run(settings_of(files, extra_tables=[str(extra), str(extra)]), tmp_path))
    found = files_of(tmp_path / "out")
    assert list(found) == ["table", "tree", "metadata", "extra_tables_1", "extra_tables_2"]
    assert {sha256(found[name]) for name in files} == set(before.values())
    assert {path: sha256(path) for path in files.values()} == before
    assert [check.passed for check in summary.checks] == [True]


def test_the_simulator_writes_what_its_stage_reads(tmp_path: Path) -> None:
    summary = build(run(RawSettings(**FAMILY.smallest["raw"]), tmp_path))
    assert set(files_of(tmp_path / "out")) == {"table", "tree", "metadata", "extra_tables_1", "truth"}
    assert all(path.is_file() for path in files_of(tmp_path / "out").values())
    assert summary.numbers["raw.files"] == 5
    assert json.loads((tmp_path / "out" / "source.json").read_text())["source"] == "simulated"


def test_a_file_that_is_not_set_or_not_there_is_named(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    with pytest.raises(UserError, match=r"source is 'path', but raw.tree is not set, expected table, tree, metadata"):
        located(settings_of({name: files[name] for name in ("table", "metadata")}), cache=tmp_path)
    with pytest.raises(UserError, match=r"gone.nwk: does not exist"):
        located(settings_of(files | {"tree": tmp_path / "gone.nwk"}), cache=tmp_path)


def test_a_changed_file_is_noticed_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    settings = settings_of(files)
    first = observe(settings, tmp_path).digest
    assert observe(settings, tmp_path).digest == first
    files["metadata"].write_text(files["metadata"].read_text() + "s5\td\t1\tmilk\n")
    assert observe(settings, tmp_path).digest != first


def test_urls_need_the_sha256_of_each_file(tmp_path: Path) -> None:
    files = write_files(tmp_path / "files")
    urls = {name: path.as_uri() for name, path in files.items()}
    digests = {name: sha256(path) for name, path in files.items()}
    found = located(RawSettings(source="url", **urls, sha256=digests), cache=tmp_path / "cache")
    assert {name: sha256(path) for name, path in found.items()} == digests
    with pytest.raises(UserError, match="sha256 has no entry 'table', expected one for each of table, tree, metadata"):
        located(RawSettings(source="url", **urls, sha256={"tree": "0" * 64, "metadata": "0" * 64}), cache=tmp_path)
    with pytest.raises(UserError, match="sha256 names 'trees', which is no file here"):
        located(RawSettings(source="url", **urls, sha256=digests | {"trees": "0" * 64}), cache=tmp_path)
