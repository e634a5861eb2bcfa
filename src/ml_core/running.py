"""How a stage runs: `run_stage` is the one way in, whichever door (shell or Dagster) asked for it."""

from __future__ import annotations

import datetime
import logging
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.full_disk import full_disk_in_one_sentence
from ml_core.settings import Settings, stable_hash
from ml_core.stages import Family, Stage, failed_checks
from ml_core.summary import Summary
from ml_core.usage import cpu_seconds, peak_memory_gb

if TYPE_CHECKING:
    from ml_core.launch.parent import Start
    from ml_core.training.task import Training

log = logging.getLogger(__name__)
LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "torch-geometric", "shapely", "pyarrow")


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
    failed a blocking check, and where the store's disk is full.
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

    with (
        full_disk_in_one_sentence(store.data, what=f"{family.name} {stage.name}"),
        store.writing(family.name, stage.name, fingerprint) as directory,
    ):
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
