"""How CPU time and memory of each stage grow with the input: 1, 2 and 4 times, by the family's simulator.

Each stage runs in a process of its own, forked from one that has imported the libraries, so that imports count for
nobody. Memory is what that process grows by. Time and memory of a stage that hardly takes any are not judged: what
stays the same, and noise, would be taken for its growth.
"""

from __future__ import annotations

import math
import multiprocessing
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.bench.case import Growth, Reach, Request, Row, Side
from ml_core.bench.finding import find_growth
from ml_core.bench.turns import SideFailed, join, one_sentence, peak_gb, reset_peak
from ml_core.families import get_family
from ml_core.running import run_stage
from ml_core.stages import Family
from ml_core.usage import cpu_seconds

FACTORS = (1, 2, 4)
MOST = 1.1  # of both exponents
LEAST_SECONDS, LEAST_GB = 0.4, 0.03  # at the largest input: below, an exponent is noise
MACHINE_GB = 16.0
LIBRARIES = ["torch", "pandas", "scipy.spatial", "sklearn.metrics", "pyarrow.parquet", "matplotlib.pyplot", "shapely"]


@dataclass(frozen=True)
class Cost:
    """Of one stage at one size. before_gb: what its process had before."""

    cpu_seconds: float
    grown_gb: float
    before_gb: float


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
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARIES, __name__])
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Artifact] = {}
        costs: dict[str, Cost] = {}
        for stage in family.stages:
            here, there = context.Pipe(duplex=False)
            inputs = {name: artifact.directory for name, artifact in made.items()}
            process = context.Process(
                target=_run, args=(family.name, stage.name, given.get(stage.name, {}), Path(folder), inputs, there)
            )
            process.start()
            there.close()
            try:
                answer = here.recv()
            except EOFError:
                raise SideFailed(f"{family.name} {stage.name} at {factor}x: its process died") from None
            finally:
                process.join()
            if isinstance(answer, str):
                raise SideFailed(f"{family.name} {stage.name} at {factor}x: {answer}")
            directory, costs[stage.name] = answer
            made[stage.name] = Artifact(directory)
        stage_name, number = growth.counted
        return float(made[stage_name].summary.numbers[number]), costs  # type: ignore[arg-type]


def _run(family_name: str, name: str, given: dict[str, Any], data: Path, inputs: dict[str, Path], pipe: Any) -> None:
    """One stage; sends its artifact's directory and its cost, or what went wrong."""
    try:
        family = get_family(family_name)
        stage = family[name]
        family.resolve(stage.run)
        settings = stage.settings.parse(given, where=f"{family_name} {name}")
        made = {each: Artifact(directory) for each, directory in inputs.items()}
        reset_peak()
        before, started = peak_gb() or 0.0, cpu_seconds()
        artifact = run_stage(family, stage, settings=settings, store=Store(data), inputs=made).artifact
        used = cpu_seconds() - started
        pipe.send((artifact.directory, Cost(used, (peak_gb() or 0.0) - before, before)))
    except Exception as error:
        pipe.send(one_sentence(error))


def _smallest(family: Family, growth: Growth, factor: int) -> dict[str, dict[str, Any]]:
    """Settings of the contract tests' run, with more input."""
    grows = {target: family.smallest[target.split(".")[0]].get(target.split(".")[1], 1) for target in growth.grows}
    return replace(growth, grows=grows, settings=family.smallest).at(factor)


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of log(value) over log(size), least squares."""
    x, y = ([math.log(max(each, 1e-9)) for each in pair] for pair in (sizes, values))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def row_of(stage: str, unit: str, sizes: list[float], costs: list[Cost]) -> Row:
    """The larger of the exponents of time and memory that are more than noise."""
    seconds, memory = [cost.cpu_seconds for cost in costs], [cost.grown_gb for cost in costs]
    of_time, of_memory = exponent(sizes, seconds), exponent(sizes, memory)
    judged = [
        e for e, enough in ((of_time, seconds[-1] >= LEAST_SECONDS), (of_memory, memory[-1] >= LEAST_GB)) if enough
    ]
    spread = " to ".join(f"{each:,.0f}" for each in (sizes[0], sizes[-1]))
    return Row(
        f"{stage}, {spread} {unit}",
        Side("exponent", max(judged) if judged else of_time, ""),
        reach=Reach(most=MOST) if judged else None,
        note=join(
            f"{' / '.join(f'{each:.2f}' for each in seconds)} CPU-s, exponent {of_time:.2f}",
            f"{' / '.join(f'{each:.3f}' for each in memory)} GB, exponent {of_memory:.2f}",
            "" if judged else "too little to judge",
        ),
        rounds=1,
        series={"size": sizes, "cpu_seconds": seconds, "grown_gb": memory, "exponents": [of_time, of_memory]},
    )


def fitting(unit: str, sizes: list[float], costs: dict[str, list[Cost]]) -> Row:
    """The largest input with which no stage needs more than `MACHINE_GB`, by a line through the least and the most."""
    most: dict[str, float] = {}
    for stage, of_stage in costs.items():
        slope = (of_stage[-1].grown_gb - of_stage[0].grown_gb) / (sizes[-1] - sizes[0])
        rest = MACHINE_GB - of_stage[0].before_gb - of_stage[0].grown_gb
        most[stage] = sizes[0] + rest / slope if slope > 0 else math.inf
    stage = min(most, key=lambda name: most[name])
    return Row(
        f"largest input within {MACHINE_GB:g} GB, by a line through these",
        Side(f"limited by {stage}:", float(f"{most[stage]:.2g}"), unit),
        series={"most": [most[name] for name in costs if math.isfinite(most[name])]},
    )
