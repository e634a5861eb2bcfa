"""Where benchmarks are declared: `cases.py` here, and in the folder `bench` of a family; both hold `CASES`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType

from ml_core.bench.case import Case, Growth
from ml_core.errors import UserError
from ml_core.families import find_families

GENERAL = "ml_core.bench.cases"


def find_cases() -> dict[str, Case]:
    """Every case by name, the families' first; one more for the growth of each family that declares it."""
    found: list[Case] = []
    for module in _declared().values():
        found += module.CASES
    found += importlib.import_module(GENERAL).CASES
    found += [
        Case(
            f"growth-{family}",
            f"each stage at 1, 2 and 4 times the {growth.unit}: CPU time and memory",
            "ml_core.bench.growth:rows",
            {"family": family},
        )
        for family, growth in find_growth().items()
    ]
    return {case.name: case for case in found}


def find_growth() -> dict[str, Growth]:
    """How each family's input grows, of those that say so."""
    return {family: module.GROWTH for family, module in _declared().items() if hasattr(module, "GROWTH")}


def choose_cases(names: Sequence[str], cases: dict[str, Case]) -> list[Case]:
    """Those named, whole or by how their names begin (`hgt`, `growth`); all without a name. UserError else."""
    if not names:
        return list(cases.values())
    for name in names:
        if not any(_is_meant(name, case) for case in cases):
            raise UserError(f"unknown benchmark '{name}'; the benchmarks are {', '.join(cases)}.")
    return [case for case in cases.values() if any(_is_meant(name, case.name) for name in names)]


def _is_meant(name: str, case: str) -> bool:
    return case == name or case.startswith(f"{name}-")


def _declared() -> dict[str, ModuleType]:
    """`bench/cases.py` of each family that has one, by the family's name."""
    packages = {family.name: f"{family.package}.bench" for family in find_families().values()}
    there = {
        family: f"{package}.cases"
        for family, package in packages.items()
        if importlib.util.find_spec(package) and importlib.util.find_spec(f"{package}.cases")
    }
    return {family: importlib.import_module(name) for family, name in there.items()}
