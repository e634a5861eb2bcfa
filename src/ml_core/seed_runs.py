"""Runs of a whole family that differ by seed or setting: in turn, or several at once, each in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ml_core.artifacts import Artifact, Store
from ml_core.families import get_family
from ml_core.presets import choose_settings
from ml_core.running import run_stage
from ml_core.stages import failed_checks

THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Planned:
    """One run: its name in what is printed, and the values that it lays over those of `config`."""

    name: str
    family: str
    data: Path
    config: Path | None
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """The last stage's artifact; failed: one of its blocking checks did."""

    report: Artifact
    failed: bool


def run_all(planned: list[Planned], *, jobs: int) -> list[Finished]:
    """Every run, `jobs` at a time, in the order given; the first error ends those that have not begun.

    Runs that need the same artifact wait for the one that makes it, so neighbours in the list had better not. Several
    at once share the cores alike, unless OMP_NUM_THREADS says how many each takes.
    """
    if jobs == 1:
        return [run_one(each) for each in planned]
    os.environ.setdefault(THREADS, str(max(1, (os.cpu_count() or 1) // jobs)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        asked = [pool.submit(_run_aside, each) for each in planned]
        try:
            return [each.result() for each in asked]
        finally:
            pool.shutdown(cancel_futures=True)


def run_one(planned: Planned) -> Finished:
    """Every stage of the family; prints a line for each."""
    family, store = get_family(planned.family), Store(planned.data)
    settings = choose_settings(family, family.stages, config=planned.config, overrides=list(planned.overrides))
    made: dict[str, Artifact] = {}
    for stage in family.stages:
        outcome = run_stage(family, stage, settings=settings[stage.name], store=store, inputs=made)
        made[stage.name] = outcome.artifact
        seconds = "cached" if outcome.cached else f"{outcome.artifact.manifest['seconds']:.1f} s"
        print(f"{planned.name} {stage.name:12} {seconds:>9}  {outcome.artifact.summary.headline}", flush=True)
    last = family.stages[-1]
    failed = failed_checks(last, made[last.name])
    for sentence in failed:
        print(f"{planned.name} {last.name}: {sentence}", flush=True)
    return Finished(made[last.name], bool(failed))


def _run_aside(planned: Planned) -> Finished:
    """`run_one` in a process of its own, whose log lines say which run they are of."""
    said = planned.name.replace("%", "%%")
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s {said}: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    return run_one(planned)
