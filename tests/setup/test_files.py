"""What a fresh clone needs is there, and nothing in it belongs to one machine."""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_ci_runs_make_test(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^make test ", script.read_text(), re.MULTILINE)


def test_constraints_pin_every_requirement_once(root: Path) -> None:
    lines = [line.split("#")[0].strip() for line in (root / "constraints.txt").read_text().splitlines()]
    pinned = [canonicalize_name(Requirement(line).name) for line in lines if line]
    assert len(pinned) == len(set(pinned))
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + list(itertools.chain(*project["optional-dependencies"].values()))
    assert {canonicalize_name(Requirement(text).name) for text in wanted} <= set(pinned)


@pytest.mark.parametrize("wrong", [r"file:", r"https?://", r"@ ", r"\+cpu", r"^(nvidia|cuda|triton)"])
def test_constraints_name_no_place_and_no_cuda_build(root: Path, wrong: str) -> None:
    assert re.findall(wrong, (root / "constraints.txt").read_text(), re.MULTILINE) == []
