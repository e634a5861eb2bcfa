"""By default nothing listens where another machine could knock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EVERYWHERE = r"0\.0\.0\.0|\[::\]|(?:^|\s)(?:-h|--host)[ =](?!127\.0\.0\.1)\S"


@pytest.mark.parametrize("line", ["dagster dev -h 0.0.0.0", "--host=myhost", "bind [::]", "x --host 10.0.0.1"])
def test_the_pattern_finds_an_open_door(line: str) -> None:
    assert re.search(EVERYWHERE, line)


@pytest.mark.parametrize("line", ["dagster dev -w workspace.yaml", "dagster dev -h 127.0.0.1", "python -m x --help"])
def test_the_pattern_leaves_closed_ones_alone(line: str) -> None:
    assert not re.search(EVERYWHERE, line)


def test_no_command_and_no_configuration_opens_a_door_to_other_machines(root: Path) -> None:
    files = [root / name for name in ("Makefile", "workspace.yaml", "dagster.yaml", "README.md")]
    files += [*root.glob("src/**/*.py"), *root.glob("configs/*.yaml"), *root.glob("docs/*.md")]
    files += [path for path in root.glob("deploy/**/*") if path.is_file() and path.suffix != ".pyc"]
    found = [
        f"{path}: {line}" for path in files for line in path.read_text().splitlines() if re.search(EVERYWHERE, line)
    ]
    assert found == []
