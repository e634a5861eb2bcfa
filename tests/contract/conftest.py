"""Each family's smallest run, once for all tests of the contract."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from ml_core.artifacts import Artifact, Store
from ml_core.families import find_families
from ml_core.running import Outcome, prepare_training, run_stage
from ml_core.settings import Settings
from ml_core.stages import Family, Stage
from ml_core.training.task import Training

# What a test needs to see every step on one thread of a CPU; a stage that trains takes them besides its smallest ones.
OBSERVED: dict[str, Any] = {
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
    "log_every_steps": 1,
    "tensorboard": False,
    "progress_bar": False,
}


@dataclass(frozen=True)
class SmallestRun:
    """The artifacts of every stage of a family, made from its smallest settings on simulated data."""

    family: Family
    store: Store
    artifacts: dict[str, Artifact]

    def settings(self, stage: Stage, **changes: Any) -> Settings:
        values = {**self.family.smallest.get(stage.name, {}), **(OBSERVED if stage.trains else {}), **changes}
        return stage.settings.parse(values, where=f"the smallest run of {self.family.name} {stage.name}")

    def training(self, stage: Stage, directory: Path, **changes: Any) -> Training:
        """What the stage would train with these settings: a new model, and the samples."""
        settings = self.settings(stage, **changes)
        return prepare_training(
            self.family, stage, settings=settings, store=self.store, directory=directory, inputs=self.artifacts
        )

    def run(self, stage: Stage) -> Outcome:
        return run_stage(
            self.family, stage, settings=self.settings(stage), store=self.store, inputs=dict(self.artifacts)
        )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def smallest_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SmallestRun]:
    """The smallest run of a family by name, made when it is asked for first."""

    @functools.cache
    def run(name: str) -> SmallestRun:
        made = SmallestRun(find_families()[name], Store(tmp_path_factory.mktemp(name)), {})
        for stage in made.family.stages:
            made.artifacts[stage.name] = made.run(stage).artifact
        return made

    return run
