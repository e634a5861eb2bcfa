"""The Makefile: every target is listed, none depends on where it is called from, and set-up is honest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# The part of the tests' own environment that would reach the make under test.
INHERITED = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "PYTHON"}


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Path:
    """The files that set-up reads, in a folder whose path holds spaces and a quote."""
    place = tmp_path / "some dir" / "it's  bio assets"
    place.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, place / name)
    return place


@pytest.fixture
def fake_python(tmp_path: Path) -> Path:
    """An interpreter for set-up whose .venv/bin/python only writes down how it was called; FAIL=1 makes pip fail."""
    python = tmp_path / "fake" / "python"
    python.parent.mkdir()
    python.write_text(
        """#!/bin/sh
case "$*" in
  "-m venv "*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo venv >> calls ;;
  "-m pip "*) echo "pip $*" >> calls; [ -z "$FAIL" ] ;;
  --version) echo Python 3.12.0 ;;
  "-c "*) ;;
  *) echo "ran $*" ;;
esac
"""
    )
    python.chmod(0o755)
    return python


def make(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in INHERITED}
    return subprocess.run(
        ["make", *map(str, arguments)],
        cwd=cwd,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def calls(checkout: Path) -> list[str]:
    return (checkout / "calls").read_text().splitlines()


def test_help_is_the_default_and_lists_every_target(checkout: Path) -> None:
    declared = re.search(r"^\.PHONY: (help .*)$", (checkout / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    listed = [line.split()[1] for line in make(cwd=checkout).stdout.splitlines()]
    assert sorted(listed) == sorted(set(declared[1].split()) - {"set-up"})


def test_every_target_of_the_readme_is_there(checkout: Path, root: Path) -> None:
    listed = {line.split()[1] for line in make("help", cwd=checkout).stdout.splitlines()}
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    named = {name for page in pages for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named <= listed


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "ui",
        "bench",
        "test",
        "test-slow",
        "test-browser",
        "test-real",
        "test-deploy",
        "test-postgres",
        "drill",
        "mutate",
        "check",
    ],
)
def test_a_target_sets_up_and_then_calls_the_interpreter_of_the_folder(checkout: Path, target: str) -> None:
    result = make("-n", target, cwd=checkout)
    assert result.returncode == 0, result.stderr
    assert "-m venv --clear .venv" in result.stdout
    assert re.search(r"^\.venv/bin/python (-m|tests/)", result.stdout, re.MULTILINE)


def test_it_runs_from_any_folder_and_from_a_path_with_spaces(checkout: Path, fake_python: Path, tmp_path: Path) -> None:
    for option, place in (("-C", checkout), ("-f", checkout / "Makefile")):
        result = make(option, place, "test", cwd=tmp_path, PYTHON=str(fake_python))
        assert result.returncode == 0, result.stderr
        assert "ran -m pytest" in result.stdout
    assert not (tmp_path / ".venv").exists()
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "pip"]


def test_the_second_call_installs_nothing(checkout: Path, fake_python: Path) -> None:
    for _ in range(2):
        assert make("demo", cwd=checkout, PYTHON=str(fake_python)).returncode == 0
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "pip"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_is_installed_anew_into_the_same_venv(checkout: Path, fake_python: Path, name: str) -> None:
    make("test", cwd=checkout, PYTHON=str(fake_python))
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    make("test", cwd=checkout, PYTHON=str(fake_python))
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "pip", "pip"]


def test_an_interrupted_set_up_begins_again(checkout: Path, fake_python: Path) -> None:
    failed = make("test", cwd=checkout, PYTHON=str(fake_python), FAIL="1")
    assert failed.returncode != 0
    assert "ran -m pytest" not in failed.stdout
    assert make("test", cwd=checkout, PYTHON=str(fake_python)).returncode == 0
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "pip", "venv", "pip"]


def test_a_moved_folder_gets_a_venv_of_its_own(checkout: Path, fake_python: Path) -> None:
    """The editable install in a copied .venv would run the code of the folder that it was copied from."""
    make("test", cwd=checkout, PYTHON=str(fake_python))
    moved = checkout.rename(checkout.with_name("moved"))
    make("test", cwd=moved, PYTHON=str(fake_python))
    assert [call.split()[0] for call in calls(moved)] == ["venv", "pip", "venv", "pip"]


def test_a_missing_interpreter_is_one_sentence(checkout: Path, tmp_path: Path) -> None:
    result = make("test", cwd=checkout, PYTHON=str(tmp_path / "absent"))
    assert result.returncode != 0
    sentence = result.stderr.splitlines()[0]
    assert sentence.startswith("No Python 3.11, 3.12 or 3.13")
    assert not (checkout / ".venv").exists()


def test_the_interpreter_of_these_tests_is_supported(checkout: Path) -> None:
    program = re.search(r"^SUPPORTED := (.*)$", (checkout / "Makefile").read_text(), re.MULTILINE)
    assert program is not None
    assert subprocess.run([sys.executable, "-c", program[1]], check=False).returncode == 0
