"""What a start costs: of the shell, and of Dagster's command with unchanged families, beside one with an empty module.

Dagster is only started as a command here, in a folder and with a history of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_core.bench.case import Reach, Request, Row, Side
from ml_core.bench.turns import Contender, SideFailed, Timed, take_turns
from ml_core.families import find_families, get_family

MOST_LIST_SECONDS, MOST_CACHED_SECONDS, MOST_OVER_EMPTY = 1.5, 5.0, 1.15
IN_PROCESS: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
EMPTY = """
import dagster as dg

@dg.asset
def nothing() -> None:
    pass

defs = dg.Definitions(assets=[nothing])
"""
TRIVIAL = {
    "trivial/__init__.py": "",
    "trivial/work.py": """
from ml_core.summary import Summary


def build(run):
    return Summary(headline="nothing")
""",
    "trivial_module.py": """
from functools import cache

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return built()


@cache
def built():
    from dagster_definitions.definitions import build_definitions
    from ml_core.families import find_families
    from ml_core.settings import Settings
    from ml_core.stages import Family, Stage

    nothing = Stage(name="nothing", settings=Settings, run="work:build", description="Nothing.")
    family = Family(name="trivial", title="Trivial", description="Nothing.", package="trivial", stages=(nothing,))
    return build_definitions([*find_families().values(), family])
""",
}


def list_rows(request: Request) -> list[Row]:
    (timed,) = take_turns([Contender("python -m ml_core list", list_of)], rounds=request.rounds)
    return [Row("start of the shell", _of_children(timed), reach=Reach(most=MOST_LIST_SECONDS), rounds=len(timed.cpu))]


def cache_rows(request: Request) -> list[Row]:
    """Of each family: all stages, unchanged, in one process, beside one empty asset."""
    found: list[Row] = []
    for name in list(find_families())[: 1 if request.quick else None]:
        empty, cached = take_turns(
            [Contender("empty module", empty_of), Contender(f"{name}, unchanged", cached_of, (name, None))],
            rounds=1,
        )
        beyond, stages = cached.cpu_seconds - empty.cpu_seconds, len(get_family(name).stages)
        found.append(
            Row(
                f"{name}: {stages} unchanged stages through Dagster, beyond an empty module",
                Side("ml_core", beyond, "CPU-s"),
                reach=Reach(most=MOST_CACHED_SECONDS),
                note=f"{cached.cpu_seconds:.1f} CPU-s in all",
                rounds=len(cached.cpu),
            )
        )
    return found


def cli_rows(request: Request) -> list[Row]:
    """A stage that does nothing, among all families' stages, beside one empty asset in an empty module."""
    empty, one = take_turns(
        [Contender("empty module", empty_of), Contender("a stage that does nothing", trivial_of)],
        rounds=min(3, request.rounds),
    )
    return [
        Row(
            "dagster asset materialize of a trivial stage over an empty module",
            _of_children(one),
            _of_children(empty),
            ratio=one.cpu_seconds / empty.cpu_seconds,
            reach=Reach(most=MOST_OVER_EMPTY),
            rounds=len(one.cpu),
        )
    ]


def _of_children(timed: Timed) -> Side:
    """Without memory: it is that of the process that waits for the command."""
    return replace(timed.side(), memory_gb=None)


def list_of() -> Callable[[], None]:
    folder = tempfile.mkdtemp()
    return lambda: _started(["ml_core", "list", "--data", folder], cwd=Path(folder))


def empty_of() -> Callable[[], None]:
    """`dagster asset materialize` of an asset that does nothing, in a module that holds nothing else."""
    folder = Path(tempfile.mkdtemp())
    (folder / "empty_module.py").write_text(EMPTY)
    return lambda: _started(
        ["dagster", "asset", "materialize", "--select", "nothing", "-m", "empty_module", "--config-json", _config({})],
        cwd=folder,
    )


def trivial_of() -> Callable[[], None]:
    """The same of a stage that writes nothing; the module holds all families besides."""
    folder = Path(tempfile.mkdtemp())
    (folder / "trivial").mkdir()
    for name, text in TRIVIAL.items():
        (folder / name).write_text(text)
    return lambda: _started(
        [
            *("dagster", "asset", "materialize", "--select", "trivial_nothing"),
            *("-m", "trivial_module", "--config-json", _config({})),
        ],
        cwd=folder,
    )


def cached_of(name: str, stage: str | None) -> Callable[[], None]:
    """`dagster asset materialize` of a family, or of one stage; the first call makes the smallest artifacts."""
    family = get_family(name)
    folder = Path(tempfile.mkdtemp())
    ops = {
        f"{name}_{each.name}": {"config": dict(family.smallest.get(each.name, {}))}
        for each in family.stages
        if stage in (None, each.name)
    }
    select = f"{name}_{stage}" if stage else ",".join(f"{name}_{each.name}" for each in family.stages)
    return lambda: _started(
        [
            *("dagster", "asset", "materialize", "--select", select),
            *("-m", "dagster_definitions", "--config-json", _config({"ops": ops})),
        ],
        cwd=folder,
    )


def _config(more: dict[str, Any]) -> str:
    return json.dumps({**IN_PROCESS, **more})


def _started(arguments: list[str], *, cwd: Path) -> None:
    """Run `python -m ...` with data and history below `cwd`; Python keeps compiled files, as it does by default."""
    home = cwd / "home"
    home.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"BIOASSETS_DATA": str(cwd / "data"), "DAGSTER_HOME": str(home)}
    result = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-m", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise SideFailed(f"python -m {' '.join(arguments[:3])} failed: {lines[-1] if lines else 'it said nothing'}")
