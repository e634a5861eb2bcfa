"""Files that come, grow, change, are replaced and go: one run for each change of content, none for anything else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_core import arrivals
from ml_core.arrivals import Look, Memory, gone, look
from ml_core.artifacts import sha256
from ml_core.sources import digest_of_files


class Folder:
    """Files that are looked at; each look gets what the one before remembered, by way of JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.memory, self.already = folder, Memory(), None

    def write(self, name: str, content: str) -> Path:
        (self.folder / name).write_text(content)
        return self.folder / name

    def look(self, *names: str) -> Look:
        paths = [self.folder / name for name in names] or sorted(self.folder.iterdir())
        self.memory = Memory.from_json(json.loads(json.dumps(self.memory.to_json())))
        seen = look(paths, self.memory, already=self.already)
        self.memory = seen.memory
        return seen

    def runs(self, looks: int) -> int:
        return sum(self.look().run for _ in range(looks))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "inbox").mkdir()
    return Folder(tmp_path / "inbox")


def test_a_file_that_arrives_calls_for_one_run(folder: Folder) -> None:
    folder.write("a", "x")
    assert [folder.look().run for _ in range(5)] == [False, True, False, False, False]


def test_what_a_run_was_made_of_before_the_first_look_calls_for_none(folder: Folder) -> None:
    path = folder.write("a", "x")
    folder.already = digest_of_files([sha256(path)])
    assert folder.runs(4) == 0
    folder.write("a", "y")
    assert folder.runs(4) == 1


def test_a_file_that_grows_is_left_alone_until_it_is_done(folder: Folder) -> None:
    for size in range(1, 6):
        folder.write("a", "x" * size)
        assert not folder.look().run
    assert folder.look().run
    assert folder.runs(3) == 0


def test_many_files_at_once_are_one_change(folder: Folder) -> None:
    for name in "abcdefgh":
        folder.write(name, name)
    assert folder.runs(4) == 1
    for name in "bdf":
        folder.write(name, "other")
    assert folder.runs(4) == 1


def test_each_change_calls_for_a_run_of_its_own_also_back_to_what_was(folder: Folder) -> None:
    keys = []
    for content in ("x", "yy", "x"):
        folder.write("a", content)
        seen = [folder.look() for _ in range(3)]
        assert sum(each.run for each in seen) == 1
        keys.append((folder.memory.calls, folder.memory.digest))
    assert len(set(keys)) == 3


def test_the_same_bytes_again_call_for_nothing(folder: Folder) -> None:
    path = folder.write("a", "x")
    assert folder.runs(3) == 1
    os.utime(path, ns=(1, 1))
    assert folder.runs(3) == 0
    aside = path.with_name(".aside")
    aside.write_text("x")
    aside.replace(path)  # another inode
    assert folder.runs(3) == 0


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_seen(folder: Folder) -> None:
    path = folder.write("a", "x")
    os.utime(path, ns=(1, 1))
    assert folder.runs(3) == 1
    aside = path.with_name(".aside")
    aside.write_text("y")
    os.utime(aside, ns=(1, 1))
    aside.replace(path)
    assert folder.runs(3) == 1


def test_a_file_that_went_and_came_back_calls_for_nothing_and_with_other_bytes_for_one_run(folder: Folder) -> None:
    path = folder.write("a", "x")
    folder.write("b", "x")
    assert folder.runs(3) == 1
    for content, runs in (("x", 0), ("y", 1)):
        path.unlink()
        seen = gone(folder.memory, why="a: does not exist")
        assert not seen.run
        folder.memory = seen.memory
        folder.write("a", content)
        assert not folder.look().run  # seen once is not enough
        assert folder.runs(2) == runs


def test_a_file_less_is_a_change_that_must_be_seen_twice(folder: Folder) -> None:
    for name in "ab":
        folder.write(name, name)
    assert folder.runs(3) == 1
    assert [folder.look("a").run for _ in range(3)] == [False, True, False]


def test_a_file_that_is_written_while_it_is_read_waits(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.write("a", "x")
    folder.look()

    def read(of: Path) -> str:
        found = sha256(of)
        path.write_text("longer")
        return found

    with monkeypatch.context() as changed:
        changed.setattr(arrivals, "sha256", read)
        assert not folder.look().run
    assert folder.runs(3) == 1
    assert folder.memory.digest == digest_of_files([sha256(path)])


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were read."""
    names: list[str] = []
    original: Callable[[Path], str] = sha256
    monkeypatch.setattr(arrivals, "sha256", lambda path: [names.append(path.name), original(path)][1])
    return names


def test_only_what_may_have_changed_is_read(folder: Folder, read: list[str]) -> None:
    for name in "abc":
        folder.write(name, name)
    folder.runs(4)
    assert read == ["a", "b", "c"]
    folder.write("b", "other")
    folder.runs(4)
    assert read == ["a", "b", "c", "b"]
