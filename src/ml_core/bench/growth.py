"""How CPU time and memory of each stage grow with the input: 1, 2 and 4 times, by the family's simulator.

Each stage runs in a process of its own, forked from one that has imported the libraries, so that imports count for
nobody. Memory is what that process grows by.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.bench.case import Growth, Request, Row
from ml_core.bench.finding import find_growth
from ml_core.bench.growth_fit import Cost, fitting, row_of
from ml_core.bench.turns import SideFailed, one_sentence
from ml_core.families import get_family
from ml_core.running import run_stage
from ml_core.stages import Family
from ml_core.usage import cpu_seconds, peak_since_reset_gb, reset_peak

FACTORS = (1, 2, 4)
LIBRARIES = [
    *("torch", "torch.utils.tensorboard", "pandas", "pyarrow.parquet", "scipy.spatial", "scipy.stats", "shapely"),
    *("sklearn.metrics", "sklearn.linear_model", "matplotlib.pyplot", "jinja2", "safetensors.torch"),
]


def rows(request: Request) -> list[Row]:
    family = get_family(str(request.options["family"]))
    growth = find_growth()[family.name]
    factors = (1, 2) if request.quick else FACTORS
    measured = [costs_of(family, growth, factor, quick=request.quick) for factor in factors]
    sizes = [size for size, _ in measured]
    found = [
        row_of(stage.name, growth.unit, sizes, [costs[stage.name] for _, costs in measured]) for stage in family.stages
    ]
    return [
        *found,
        fitting(growth.unit, sizes, {stage.name: [c[stage.name] for _, c in measured] for stage in family.stages}),
    ]


def costs_of(family: Family, growth: Growth, factor: int, *, quick: bool) -> tuple[float, dict[str, Cost]]:
    """The input's size, and the cost of every stage."""
    given = _smallest(family, growth, factor) if quick else growth.at(factor)
    with tempfile.TemporaryDirectory() as folder:
        try:
            made, costs = costs_of_stages(family, given, data=Path(folder))
        except SideFailed as error:
            raise SideFailed(f"{error} (at {factor}x)") from None
        stage_name, number = growth.counted
        return float(made[stage_name].summary.numbers[number]), costs  # type: ignore[arg-type]


def costs_of_stages(
    family: Family, given: Mapping[str, Mapping[str, Any]], *, data: Path, until: str | None = None
) -> tuple[dict[str, Artifact], dict[str, Cost]]:
    """The artifact and the cost of every stage, up to `until` where it is named; given: settings by stage."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARIES, __name__])
    made: dict[str, Artifact] = {}
    costs: dict[str, Cost] = {}
    for stage in family.stages:
        here, there = context.Pipe(duplex=False)
        inputs = {name: artifact.directory for name, artifact in made.items()}
        process = context.Process(
            target=_run, args=(family.name, stage.name, dict(given.get(stage.name, {})), data, inputs, there)
        )
        process.start()
        there.close()
        try:
            answer = here.recv()
        except EOFError:
            raise SideFailed(f"{family.name} {stage.name}: its process died") from None
        finally:
            process.join()
        if isinstance(answer, str):
            raise SideFailed(f"{family.name} {stage.name}: {answer}")
        directory, costs[stage.name] = answer
        made[stage.name] = Artifact(directory)
        if stage.name == until:
            break
    return made, costs


def _run(family_name: str, name: str, given: dict[str, Any], data: Path, inputs: dict[str, Path], pipe: Any) -> None:
    """One stage; sends its artifact's directory and its cost, or what went wrong."""
    try:
        family = get_family(family_name)
        stage = family[name]
        family.resolve(stage.run)
        settings = stage.settings.parse(given, where=f"{family_name} {name}")
        made = {each: Artifact(directory) for each, directory in inputs.items()}
        reset_peak()
        before, started = peak_since_reset_gb() or 0.0, cpu_seconds()
        artifact = run_stage(family, stage, settings=settings, store=Store(data), inputs=made).artifact
        used = cpu_seconds() - started
        pipe.send((artifact.directory, Cost(used, (peak_since_reset_gb() or 0.0) - before, before)))
    except Exception as error:
        pipe.send(one_sentence(error))


def _smallest(family: Family, growth: Growth, factor: int) -> dict[str, dict[str, Any]]:
    """Settings of the contract tests' run, with more input."""
    grows = {target: family.smallest[target.split(".")[0]].get(target.split(".")[1], 1) for target in growth.grows}
    return replace(growth, grows=grows, settings=family.smallest).at(factor)
