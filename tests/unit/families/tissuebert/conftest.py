"""The whole family once, on its smallest simulated data, for all tests that look at what came out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ml_core.artifacts import Artifact, Store
from ml_core.families.tissuebert.family import FAMILY
from ml_core.running import run_stage


@dataclass(frozen=True)
class Finished:
    """store: of all artifacts; made: stage -> artifact."""

    store: Store
    made: dict[str, Artifact]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    store, made = Store(tmp_path_factory.mktemp("tissuebert")), dict[str, Artifact]()
    quiet = {"device": "cpu", "threads": 1, "tensorboard": False, "progress_bar": False, "max_epochs": 1}
    for stage in FAMILY.stages:
        chosen = {**FAMILY.smallest.get(stage.name, {}), **(quiet if stage.trains else {})}
        # The gate's limit is that of mixtures as deep as the samples that the tests ask about.
        chosen |= {"raw": {"depth": 16.0}, "mixtures": {"depths": [5, 30]}, "report": {"without_dna": True}}.get(
            stage.name, {}
        )
        settings = stage.settings.parse(chosen, where=stage.name)
        made[stage.name] = run_stage(FAMILY, stage, settings=settings, store=store, inputs=made).artifact
    return Finished(store, made)
