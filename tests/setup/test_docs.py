"""The pages do what they say."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagster_definitions import defs
from ml_core.families import find_families
from ml_core.presets import check_preset
from ml_core.training.settings import TrainingSettings

START = """
import runpy
import sys
import ml_core.families as families

families.__path__.append(sys.argv.pop(1))
sys.argv.pop(0)
if sys.argv[0].endswith(".py"):
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
FOUND = """
from dagster_definitions import defs

loaded = defs()
graph = loaded.resolve_asset_graph()
assets = [node for node in graph.asset_nodes if node.group_name == "bases"]
print(*sorted(node.key.to_user_string() for node in assets))
print(*sorted(key.name for node in assets for key in node.check_keys))
print(*sorted(each.name for each in (
    loaded.resolve_job_def("bases"),
    loaded.resolve_sensor_def("bases_new_data"),
    loaded.resolve_schedule_def("bases_weekly"),
)))
"""


# In one process, for a child would not know of the folder; and in short lines.
IN_PROCESS = {"execution": {"config": {"in_process": {}}}, "loggers": {"console": {}}}


@dataclass(frozen=True)
class Bases:
    """The family of docs/adding-a-family.md, written from the page itself, and a folder with a genome to work in."""

    families: Path
    folder: Path
    commands: dict[str, list[str]]  # module to the arguments that the page gives it

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m ...`, or a script, in the folder and with the family beside the others."""
        src = Path(__file__).resolve().parents[2] / "src"
        environment = {**os.environ, "PYTHONPATH": str(src), "BIOASSETS_DATA": str(self.folder / "data")}
        command = [sys.executable, "-c", START, str(self.families), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=110
        )

    def as_on_the_page(self, module: str) -> subprocess.CompletedProcess[str]:
        return self.run(module, *self.commands[module])


@pytest.fixture
def bases(tmp_path: Path, root: Path) -> Bases:
    page = (root / "docs" / "adding-a-family.md").read_text()
    files = dict(re.findall(r"^## `(\w+\.py)`\n.*?```python\n(.*?)```", page, re.MULTILINE | re.DOTALL))
    assert sorted(files) == ["family.py", "settings.py", "work.py"]
    folder = tmp_path / "families" / "bases"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, text in files.items():
        (folder / name).write_text(text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "genome.fa").write_text(">chr1\nACGTNACG\n")
    shell = page.split("```sh\n")[1].split("```")[0].replace("\\\n", " ")
    lines = [shlex.split(line) for line in shell.splitlines() if line.startswith("python -m ")]
    assert [line[2] for line in lines] == ["ml_core", "ml_core", "dagster"]
    return Bases(folder.parent, tmp_path, {line[2]: line[3:] for line in lines})


def test_the_family_that_the_page_builds_runs(bases: Bases) -> None:
    listed = bases.run("ml_core", "list")
    assert re.search(r"^bases\b", listed.stdout, re.MULTILINE), listed.stdout
    first = bases.as_on_the_page("ml_core")
    assert first.returncode == 0, first.stderr
    assert "GC 57.1 %" in first.stdout
    assert "warning only_bases: 1 other letters." in first.stdout
    second = bases.as_on_the_page("ml_core")
    assert second.stdout.count(" cached ") == 2


def test_its_blocking_check_stops_the_run(bases: Bases) -> None:
    (bases.folder / "data" / "genome.fa").write_text("AAAAAAAAAC\n")
    result = bases.as_on_the_page("ml_core")
    assert result.returncode == 1
    assert "FAILED gc_plausible: 10.0 %." in result.stdout


def test_the_family_that_the_page_builds_is_materialized_by_dagster(bases: Bases) -> None:
    *arguments, config = bases.commands["dagster"]
    made = bases.run("dagster", *arguments, json.dumps({**json.loads(config), **IN_PROCESS}))
    assert made.returncode == 0, made.stderr
    assert "check only_bases failed: 1 other letters." in made.stderr
    report = bases.folder / "data" / "artifacts" / "bases" / "report" / "current" / "report.md"
    assert report.read_text() == "GC content: 57.1 %\n"
    shell = bases.as_on_the_page("ml_core")
    assert shell.stdout.count(" cached ") == 2, shell.stdout


def test_dagster_finds_its_assets_checks_job_sensor_and_schedule(bases: Bases) -> None:
    (bases.folder / "found.py").write_text(FOUND)
    found = bases.run(str(bases.folder / "found.py"))
    assert found.stdout.splitlines() == [
        "bases_counts bases_report bases_source",
        "gc_plausible only_bases",
        "bases bases_new_data bases_weekly",
    ], found.stderr


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


SHELL_PAGES = [*PAGES, *(f"docs/{family}.md" for family in find_families())]


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_every_setting_of_a_command_on_a_page_exists(page: str, root: Path) -> None:
    text = "\n".join(re.findall(r"```sh\n(.*?)```", (root / page).read_text(), re.DOTALL)).replace("\\\n", " ")
    for line in re.findall(r"ml_core run (.*)", text):
        family = find_families().get(line.split()[0])
        for stage, field in re.findall(r"--set (\w+)\.(\w+)=", line) if family else []:
            (settings,) = (each.settings for each in family.stages if each.name == stage)
            assert field in settings.model_fields, f"{stage}.{field}"


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
