"""What was read of a source file counts while its size and time of change stay the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ml_core import code_record
from ml_core.code_record import CodeRecord, Reading

READING: Reading = ("hash", ("ml_core.errors",))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source file that was written a minute ago."""
    monkeypatch.setattr(code_record, "PACKAGE", tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    path = tmp_path / "module.py"
    path.write_text("x = 1\n")
    a_minute_ago = time.time() - 60
    os.utime(path, (a_minute_ago, a_minute_ago))
    return path


def remembered(file: Path) -> CodeRecord:
    """As the next process finds it."""
    first = CodeRecord(file.with_name("record.json"))
    assert first.find(file) is None
    first.add(file, READING)
    first.save()
    return CodeRecord(file.with_name("record.json"))


def test_an_unchanged_file_is_not_read_again(file: Path) -> None:
    assert remembered(file).find(file) == READING


@pytest.mark.parametrize("text", ["x = 1  # longer\n", "x = 2\n"])
def test_a_changed_file_is_read_again(file: Path, text: str) -> None:
    record = remembered(file)
    file.write_text(text)
    assert record.find(file) is None


def test_a_file_that_was_written_just_now_is_not_remembered(file: Path) -> None:
    os.utime(file)
    assert remembered(file).find(file) is None


def test_files_of_other_packages_are_not_remembered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_record, "PACKAGE", file.parent / "elsewhere")
    assert remembered(file).find(file) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"reader": [1, 2], "files": {}}'])
def test_a_record_that_is_damaged_or_of_another_reader_counts_for_nothing(file: Path, text: str) -> None:
    remembered(file)
    file.with_name("record.json").write_text(text)
    assert CodeRecord(file.with_name("record.json")).find(file) is None


def test_where_nothing_may_be_written_all_is_read_anew(file: Path) -> None:
    record = CodeRecord(file / "no folder" / "record.json")
    assert record.find(file) is None
    record.add(file, READING)
    record.save()
    assert record.find(file) == READING
