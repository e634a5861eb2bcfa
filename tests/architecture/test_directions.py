"""Who may import whom. The picture stands in README.md under "How it is built"."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.scan import Import, imports, parse, python_files

SRC = Path(__file__).resolve().parents[2] / "src"
FAMILIES_FOLDER = SRC / "ml_core" / "families"
FAMILIES = sorted(path.parent.name for path in FAMILIES_FOLDER.glob("*/__init__.py"))

# Imported whenever a page of Dagster opens or a command starts, so they must come without torch (3 CPU-s, 290 MB).
LIGHT_FILES = [
    "errors",
    "settings",
    "artifacts",
    "stages",
    "running",
    "usage",
    "summary",
    "sources",
    "raw_copy",
    "presets",
    "compare",
    "code_version",
]
LIGHT_FAMILY_FILES = ["settings", "family"]
HEAVY_LIBRARIES = ["torch", "torch_geometric", "skbio"]  # skbio imports torch

# Imported under a name of its own, but part of a declared distribution that pins it exactly.
COMES_WITH = {"dagster-pipes": "dagster", "pydantic-core": "pydantic"}


def test_ml_core_never_imports_dagster() -> None:
    assert offenders(SRC / "ml_core", lambda found: found.name.split(".")[0].startswith("dagster")) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_never_imports_another_family(family: str) -> None:
    others = [f"ml_core.families.{other}" for other in FAMILIES if other != family]
    assert offenders(FAMILIES_FOLDER / family, lambda found: any(found.below(other) for other in others)) == []


@pytest.mark.parametrize("package", ["training", "data", "metrics"])
def test_training_data_and_metrics_know_no_family(package: str) -> None:
    assert offenders(SRC / "ml_core" / package, lambda found: found.below("ml_core.families")) == []


def test_outside_its_folder_no_family_is_named_by_an_import() -> None:
    families = [f"ml_core.families.{family}" for family in FAMILIES]
    found = offenders(SRC, lambda found: any(found.below(family) for family in families))
    assert [line for line in found if not line.startswith("ml_core/families/")] == []


def test_every_import_is_absolute() -> None:
    assert offenders(SRC, lambda found: found.name.startswith(".")) == []


def test_what_every_process_imports_comes_without_torch() -> None:
    names = [f"ml_core.{name}" for name in [*LIGHT_FILES, "__main__"] if (SRC / "ml_core" / f"{name}.py").is_file()]
    names += [
        f"ml_core.families.{family}.{name}"
        for family in FAMILIES
        for name in LIGHT_FAMILY_FILES
        if (FAMILIES_FOLDER / family / f"{name}.py").is_file()
    ]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        f"    heavy = [library for library in {HEAVY_LIBRARIES} if library in sys.modules]\n"
        "    assert not heavy, f'importing {name} imports {heavy}'\n"
    )
    command = [sys.executable, "-c", code, *names]
    result = subprocess.run(command, cwd=SRC, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_what_src_imports_is_declared_in_pyproject(root: Path) -> None:
    """At a module's top only `dependencies`; inside functions also what an extra brings."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    always = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    optional = itertools.chain(*project["optional-dependencies"].values())
    extras = {canonicalize_name(Requirement(text).name) for text in optional}
    brought_by = packages_distributions()
    ours = {"ml_core", "dagster_definitions"} | set(sys.stdlib_module_names)

    def undeclared(found: Import) -> bool:
        top = found.name.split(".")[0]
        if top in ours or found.name.startswith("."):
            return False
        distributions = {canonicalize_name(name) for name in brought_by.get(top, [top])}
        distributions = {canonicalize_name(COMES_WITH.get(name, name)) for name in distributions}
        return not distributions & (always | extras if found.deferred else always)

    assert offenders(SRC, undeclared) == []


def offenders(folder: Path, wrong: Callable[[Import], bool]) -> list[str]:
    """`file:line: import` of every import below `folder` for which `wrong(import)` holds."""
    return [
        f"{path.relative_to(SRC).as_posix()}:{found.line}: {found.name}"
        for path in python_files(folder)
        for found in imports(parse(path))
        if wrong(found)
    ]
