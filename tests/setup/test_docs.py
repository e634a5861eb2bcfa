"""The pages do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import sys
import ml_core.families as families
from ml_core.__main__ import main

families.__path__.append(sys.argv.pop(1))
sys.exit(main())
"""


@pytest.fixture
def families_folder(tmp_path: Path, root: Path) -> Path:
    """The family of docs/adding-a-family.md, written from the page itself."""
    page = (root / "docs" / "adding-a-family.md").read_text()
    files = dict(re.findall(r"^## `(\w+\.py)`\n.*?```python\n(.*?)```", page, re.MULTILINE | re.DOTALL))
    assert sorted(files) == ["family.py", "settings.py", "work.py"]
    folder = tmp_path / "families" / "bases"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder.parent


def ml_core(*arguments: str | Path, families: Path, src: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, str(families), *map(str, arguments)]
    return subprocess.run(command, cwd=src, capture_output=True, text=True, check=False)


def test_the_family_that_the_page_builds_runs(families_folder: Path, tmp_path: Path, root: Path) -> None:
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\nACGTNACG\n")
    command = ("run", "bases", "--data", tmp_path / "data", "--set", f"counts.path={genome}")
    first = ml_core(*command, families=families_folder, src=root / "src")
    assert first.returncode == 0, first.stderr
    assert "GC 57.1 %" in first.stdout
    assert "warning only_bases: 1 other letters." in first.stdout
    second = ml_core(*command, families=families_folder, src=root / "src")
    assert second.stdout.count(" cached ") == 2


def test_its_blocking_check_stops_the_run(families_folder: Path, tmp_path: Path, root: Path) -> None:
    genome = tmp_path / "genome.fa"
    genome.write_text("AAAAAAAAAC\n")
    command = ("run", "bases", "--data", tmp_path / "data", "--set", f"counts.path={genome}")
    result = ml_core(*command, families=families_folder, src=root / "src")
    assert result.returncode == 1
    assert "FAILED gc_plausible: 10.0 %." in result.stdout


@pytest.mark.parametrize("page", ["README.md", "data/README.md", "docs/quickstart.md", "docs/adding-a-family.md"])
def test_links_between_pages_lead_somewhere(page: str, root: Path) -> None:
    place = root / page
    targets = re.findall(r"\]\(([^)#:]+)\)", place.read_text())
    assert [target for target in targets if not (place.parent / target).exists()] == []


def test_the_readme_is_short_enough_to_be_read(root: Path) -> None:
    assert len((root / "README.md").read_text().splitlines()) <= 120
