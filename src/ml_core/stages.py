"""Stages and families, as they are declared. A family is a list of stages; a stage turns artifacts into an artifact."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_core.artifacts import Artifact
from ml_core.code_version import code_version
from ml_core.errors import UserError
from ml_core.settings import Settings


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

    package: where `Stage.run` is looked up. key_metrics: the names in metrics.json that `compare` and `seeds` show;
    more_metrics: beginnings of names that they show as well where a report was asked for them.
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
    more_metrics: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    smallest: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    predict: Prediction | None = None

    def __getitem__(self, stage: str) -> Stage:
        for candidate in self.stages:
            if candidate.name == stage:
                return candidate
        names = ", ".join(candidate.name for candidate in self.stages)
        raise UserError(f"{self.name}: unknown stage '{stage}'; the stages are {names}.")

    def shown_metrics(self, there: Iterable[str]) -> tuple[str, ...]:
        """Those of the names `there` that are shown: key metrics in their order, then what else was asked for."""
        names = dict.fromkeys(there)
        more = [name for name in names if name.startswith(self.more_metrics) and name not in self.key_metrics]
        return tuple(name for name in self.key_metrics if name in names) + tuple(more)

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
