"""Each file has a room and a name that says what is in it, and none can run code that stands in data."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.scan import parse, python_files, unsafe_loads

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "lib", "base"}


def test_no_file_or_folder_is_called_utils(src: Path, root: Path) -> None:
    paths = [path for top in (src, root / "tests") for path in top.rglob("*") if "__pycache__" not in path.parts]
    assert [path for path in paths if path.name.split(".")[0].lower() in NAMES_THAT_SAY_NOTHING] == []


def test_no_python_file_stands_at_the_top(root: Path) -> None:
    """Dagster's webserver has the working directory on sys.path: a file there would hide a library of its name."""
    assert sorted(root.glob("*.py")) == []


def test_nothing_unpickles(src: Path) -> None:
    assert [f"{path}: {phrase}" for path in python_files(src) for phrase in unsafe_loads(parse(path))] == []


def test_pyproject_has_no_dagster_table(root: Path) -> None:
    """With [tool.dagster] or [tool.dg] there, a bare `dagster dev` would ignore workspace.yaml."""
    lines = (root / "pyproject.toml").read_text().splitlines()
    assert [line for line in lines if line.startswith(("[tool.dagster", "[tool.dg"))] == []
