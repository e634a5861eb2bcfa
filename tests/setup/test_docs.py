"""The pages do what they say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_definitions import defs
from ml_core.families import find_families
from ml_core.presets import check_preset
from ml_core.training.settings import TrainingSettings

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


PAGES = [
    "README.md",
    "data/README.md",
    *(
        f"docs/{name}.md"
        for name in ("quickstart", "adding-a-family", "reliability", "retraining", "scaling", "training")
    ),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str, root: Path) -> None:
    place = root / page
    targets = re.findall(r"\]\(([^)#:]+)\)", place.read_text())
    assert [target for target in targets if not (place.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_config_on_a_page_fits_the_stages(page: str, root: Path, tmp_path: Path) -> None:
    found = re.findall(r"```yaml\n(.*?)```", (root / page).read_text(), re.DOTALL)
    for number, text in enumerate(text for text in found if "ops:" in text):
        (tmp_path / f"{number}.yaml").write_text(text)
        check_preset(tmp_path / f"{number}.yaml", find_families())


def test_what_the_page_on_retraining_names_is_there(root: Path) -> None:
    """Sensors, schedules, jobs and sweeps, with a family's name put in place of <family>."""
    page = (root / "docs" / "retraining.md").read_text()
    repository = defs().get_repository_def()
    there = {each.name for each in (*repository.sensor_defs, *repository.schedule_defs, *repository.get_all_jobs())}
    named = set(re.findall(r"^\| (?:job|sensor|schedule) `([^`]+)`", page, re.MULTILINE))
    assert {name.replace("<family>", "segger") for name in named} <= there
    started = set(re.findall(r"(?:sensor|schedule) start (\w+)", page))
    assert started
    assert started <= there


def test_the_score_of_every_family_stands_on_the_page(root: Path) -> None:
    rows = rows_of_table(root / "docs" / "retraining.md", "The champion")
    shown = {family: re.findall(r"`([^`]+)`", scores) for family, scores in rows}
    for family in find_families().values():
        assert shown[family.name] == [score.metric for score in family.scores]
        lower = rows[[row[0] for row in rows].index(family.name)][1].count("(lower)")
        assert lower == sum(not score.higher_is_better for score in family.scores)


def test_the_readme_is_short_enough_to_be_read(root: Path) -> None:
    assert len((root / "README.md").read_text().splitlines()) <= 120


def rows_of_table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table that follows a heading, without its head."""
    text = page.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"][2:]


def test_every_behaviour_of_the_training_library_names_tests_that_exist(root: Path) -> None:
    rows = rows_of_table(root / "docs" / "training.md", "What is proved, and by which test")
    assert [number for number, _, _ in rows] == [str(number) for number in range(1, 21)]
    for number, _, tests in rows:
        named = re.findall(r"`([^`:]+)::(\w+)`", tests)
        assert named, f"row {number} names no test"
        for path, name in named:
            tree = ast.parse((root / "tests" / path).read_text())
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_every_training_option_is_listed_with_unit_default_and_source(root: Path) -> None:
    rows = rows_of_table(root / "docs" / "training.md", "Every option")
    assert all(source for *_, source in rows)
    assert [row[:4] for row in rows] == [list(as_listed(name)) for name in TrainingSettings.model_fields]


def as_listed(name: str) -> tuple[str, str, str, str]:
    """Name (starred where it does not change the result), default, unit and description of a training option."""
    field = TrainingSettings.model_fields[name]
    described = re.fullmatch(r"(.*?)(?: \[([^\]]*)\])?", str(field.description))
    assert described
    default = field.get_default(call_default_factory=True)
    shown = "empty" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}"
    star = "" if name in TrainingSettings().result_fields() else "*"
    return f"`{name}`{star}", shown, described[2] or "", described[1]
