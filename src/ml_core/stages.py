"""Stages and families. A family is a list of stages; a stage turns artifacts into an artifact.

`run_stage` is the one way in which a stage runs, whichever door (shell or Dagster) asked for it.
"""

from __future__ import annotations

import datetime
import importlib
import logging
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from ml_core.artifacts import Artifact, Store
from ml_core.code_version import code_version
from ml_core.errors import UserError
from ml_core.settings import Settings, stable_hash
from ml_core.summary import Summary

if TYPE_CHECKING:
    from ml_core.launch.parent import Start
    from ml_core.training.task import Training

log = logging.getLogger(__name__)
LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "torch-geometric", "shapely", "pyarrow")


@dataclass(frozen=True)
class Check:
    """A check that a stage declares: what a failure means and what to do. A failed blocking one stops downstream."""

    name: str
    meaning: str
    remedy: str
    blocking: bool = True


@dataclass(frozen=True)
class Stage:
    """One step of a family.

    run:     "module:function" below the family's package; imported only when the stage runs. It takes a `StageRun`,
             writes files into `StageRun.directory` and returns a `Summary`.
    inputs:  names of the stages whose artifacts it reads.
    observe: "module:function" that takes (settings, cache directory) and returns the digest of data outside the store
             (`sources.Observation`); only stages that read such data have one.
    kinds:   Dagster's labels for the lineage view.
    training: "module:function" that takes a `StageRun` and returns a `training.task.Training`: what is trained, without
             running the stage. Only stages that train a model have one; they take the accelerator, report epochs and
             can resume.
    """

    name: str
    settings: type[Settings]
    run: str
    description: str
    inputs: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    kinds: tuple[str, ...] = ()
    training: str | None = None
    observe: str | None = None

    @property
    def trains(self) -> bool:
        return self.training is not None


@dataclass(frozen=True)
class Prediction:
    """What a trained family answers from the shell: `python -m ml_core predict FAMILY`.

    stage: whose current artifact answers, together with those that it was made from. settings: the question; each field
    becomes an option. run: "module:function" below the family's package, taking (settings, artifacts by stage) and
    returning a `Summary`; its headline and tables are printed, and `--csv` writes the first table.
    """

    stage: str
    settings: type[Settings]
    run: str
    description: str


@dataclass(frozen=True)
class Score:
    """A figure by which a family's reports are ranked: a name among their numbers.

    `<metric>_low` and `<metric>_high` beside it are its 95 % interval.
    """

    metric: str
    higher_is_better: bool


@dataclass(frozen=True)
class Family:
    """A model family: its stages in an order in which they can run.

    package: where `Stage.run` is looked up. key_metrics: the names in metrics.json that `compare` shows.
    scores:   what decides which report's model is champion: the first that both of two reports have.
    smallest: settings by stage of the smallest run on simulated data that goes through every stage within seconds; the
              contract tests run it.
    """

    name: str
    title: str
    description: str
    package: str
    stages: tuple[Stage, ...]
    key_metrics: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    smallest: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    predict: Prediction | None = None

    def __getitem__(self, stage: str) -> Stage:
        for candidate in self.stages:
            if candidate.name == stage:
                return candidate
        names = ", ".join(candidate.name for candidate in self.stages)
        raise UserError(f"{self.name}: unknown stage '{stage}'; the stages are {names}.")

    def resolve(self, reference: str) -> Callable[..., Any]:
        """The function behind "module:function"."""
        module, function = reference.split(":")
        return getattr(importlib.import_module(f"{self.package}.{module}"), function)  # type: ignore[no-any-return]

    def code_version(self, stage: Stage) -> str:
        """Hash of the code behind `stage`, known without importing it."""
        return code_version(f"{self.package}.{stage.run.split(':')[0]}")

    def trained(self) -> set[str]:
        """Names of the stages that train a model or read what one that does has made."""
        found: set[str] = set()
        for stage in self.stages:
            if stage.trains or found & set(stage.inputs):
                found.add(stage.name)
        return found

    def needed_for(self, stage: str) -> list[Stage]:
        """`stage` and everything upstream of it, in order."""
        needed = {self[stage].name}
        for candidate in reversed(self.stages):
            if candidate.name in needed:
                needed |= set(candidate.inputs)
        return [candidate for candidate in self.stages if candidate.name in needed]


class Watcher(Protocol):
    """Whoever asked for the run and wants to see it live. Only observes."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Called once per training epoch with its losses, metrics, learning rate and samples per second."""


class Silent:
    """The watcher of a run that nobody watches."""

    def epoch(self, row: Mapping[str, float]) -> None:
        pass


@dataclass
class StageRun:
    """What a stage function gets.

    directory: empty; files written here become the artifact. work: survives a kill and is gone after success, for
    checkpoints. cache: verified downloads. watcher: takes epochs. device: set it when another than the CPU was used.
    """

    settings: Any
    inputs: dict[str, Artifact]
    directory: Path
    work: Path
    cache: Path
    watcher: Watcher = field(default_factory=Silent)
    device: str = "cpu"

    def progress(self, items: Iterable[Any], *, what: str, total: int | None = None) -> Iterable[Any]:
        """A progress bar around `items` where stderr is a terminal."""
        return tqdm(
            items,
            desc=what,
            total=total,
            file=sys.stderr,
            disable=None,
            leave=False,
            mininterval=0.5,
            dynamic_ncols=True,
        )


@dataclass(frozen=True)
class Outcome:
    """An artifact and whether it was there already."""

    artifact: Artifact
    cached: bool


def run_stage(
    family: Family,
    stage: Stage,
    *,
    settings: Settings,
    store: Store,
    inputs: Mapping[str, Artifact] | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
    start: Start | None = None,
) -> Outcome:
    """Run one stage, or return its artifact where settings, inputs, outside data and code are unchanged.

    `inputs` maps input stage to artifact; a missing one is taken from `current`. `start` is how processes are started
    where settings ask for several; a plain subprocess otherwise. Raises UserError where an input does not exist or
    failed a blocking check.
    """
    found = _inputs(family, stage, store=store, given=inputs or {})
    outside = family.resolve(stage.observe)(settings, store.raw).digest if stage.observe else None
    version_of_code = family.code_version(stage)
    identity = {
        "family": family.name,
        "stage": stage.name,
        "settings": settings.result_fields(),
        "inputs": {name: artifact.digest for name, artifact in sorted(found.items())},
        "outside": outside,
        "code_version": version_of_code,
    }
    fingerprint = stable_hash(identity)
    if not force and (there := store.find(family.name, stage.name, fingerprint)):
        store.make_current(family.name, stage.name, fingerprint)
        return Outcome(there, cached=True)

    with store.writing(family.name, stage.name, fingerprint) as directory:
        there = store.find(family.name, stage.name, fingerprint)
        if there and not force:  # another process finished it while this one waited for the lock
            store.make_current(family.name, stage.name, fingerprint)
            return Outcome(there, cached=True)
        work = store.work_directory(family.name, stage.name, fingerprint)
        run = StageRun(settings, found, directory, work, store.raw, watcher or Silent())
        log.info("%s %s: starts", family.name, stage.name)
        started, cpu_started = time.perf_counter(), cpu_seconds()
        summary = _run_function(family, stage, run, start)
        _all_checks_decided(stage, summary)
        manifest = {
            **identity,
            "fingerprint": fingerprint,
            "settings": settings.model_dump(mode="json"),
            "input_fingerprints": {name: artifact.fingerprint for name, artifact in sorted(found.items())},
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "seconds": round(time.perf_counter() - started, 3),
            "cpu_seconds": round(cpu_seconds() - cpu_started, 3),
            "peak_memory_gb": round(peak_memory_gb(), 3),
            "device": run.device,
            "libraries": library_versions(),
            "summary": summary.to_json(),
        }
        artifact = store.commit(directory, manifest)
    shutil.rmtree(work, ignore_errors=True)
    log.info("%s %s: done in %.1f s (%s)", family.name, stage.name, manifest["seconds"], artifact.directory)
    return Outcome(artifact, cached=False)


def prepare_training(
    family: Family,
    stage: Stage,
    *,
    settings: Settings,
    store: Store,
    directory: Path,
    inputs: Mapping[str, Artifact] | None = None,
) -> Training:
    """What `stage` would train on these inputs, without running it; nothing is written into the store.

    `inputs` as for `run_stage`. `directory` is where a run would put its files. Raises UserError where the stage trains
    nothing, or an input does not exist or failed a blocking check.
    """
    if stage.training is None:
        names = ", ".join(each.name for each in family.stages if each.trains) or "none"
        raise UserError(f"{family.name}: stage '{stage.name}' trains no model; those that do: {names}.")
    found = _inputs(family, stage, store=store, given=inputs or {})
    training: Training = family.resolve(stage.training)(StageRun(settings, found, directory, directory, store.raw))
    return training


def failed_checks(stage: Stage, artifact: Artifact) -> list[str]:
    """One sentence for each failed blocking check of an artifact."""
    declared = {check.name: check for check in stage.checks}
    failed = [
        (result, declared[result.name])
        for result in artifact.summary.checks
        if not result.passed and declared[result.name].blocking
    ]
    return [
        f"check '{result.name}' failed ({result.message}): {check.meaning} {check.remedy}" for result, check in failed
    ]


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended, in s."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, in GB (1e9 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def library_versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _inputs(family: Family, stage: Stage, *, store: Store, given: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """The artifacts that `stage` reads: those given, else the current ones."""
    found = {name: given.get(name) or _current(family, name, store) for name in stage.inputs}
    for name, artifact in found.items():
        _refuse_failed(family, family[name], artifact)
    return found


def _run_function(family: Family, stage: Stage, run: StageRun, start: Start | None) -> Summary:
    """Run the stage's function here, or in several processes where it trains and is told to."""
    if stage.trains:
        from ml_core.launch.company import in_company, lead
        from ml_core.launch.parent import InSubprocess, run_in_processes

        count = getattr(run.settings, "nproc", 1)
        if in_company():
            return lead(family, stage, run)
        if count > 1:
            return run_in_processes(family, stage, run, count=count, start=start or InSubprocess())
    summary: Summary = family.resolve(stage.run)(run)
    return summary


def _current(family: Family, stage: str, store: Store) -> Artifact:
    artifact = store.current(family.name, stage)
    if artifact is None:
        raise UserError(
            f"{family.name}: stage '{stage}' has no artifact below {store.data}; run it first: "
            f"python -m ml_core run {family.name} --until {stage}."
        )
    return artifact


def _refuse_failed(family: Family, stage: Stage, artifact: Artifact) -> None:
    failed = failed_checks(stage, artifact)
    if failed:
        raise UserError(f"{family.name} {stage.name}: {failed[0]}")


def _all_checks_decided(stage: Stage, summary: Summary) -> None:
    declared, decided = {check.name for check in stage.checks}, {check.name for check in summary.checks}
    assert declared == decided, f"stage {stage.name} declares checks {sorted(declared)} but decided {sorted(decided)}"
