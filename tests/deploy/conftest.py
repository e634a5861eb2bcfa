"""The instances of deploy/, with the history in a folder of the test's own, and a job of a code location there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

Instance = Callable[[str], dg.DagsterInstance]
SMALL = {"raw": {"cells": 48, "genes": 40, "cell_types": 3}}


@pytest.fixture
def instance(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """deploy/<engine>/dagster.yaml, read by Dagster itself; only where the history lies is changed."""
    opened: list[dg.DagsterInstance] = []

    def open_it(engine: str) -> dg.DagsterInstance:
        settings = yaml.safe_load((root / "deploy" / engine / "dagster.yaml").read_text())
        settings["storage"] = {"sqlite": {"base_dir": str(tmp_path / "history")}}
        for name in ("compute_logs", "local_artifact_storage"):
            if name in settings:
                settings[name]["config"]["base_dir"] = str(tmp_path / name)
        home = tmp_path / engine
        home.mkdir()
        (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        opened.append(dg.DagsterInstance.get())
        return opened[-1]

    yield open_it
    for each in opened:
        each.dispose()


@pytest.fixture
def job(root: Path) -> Callable[[str, str], ReconstructableJob]:
    """A job of the code location deploy/<engine>/definitions.py, as a process of Dagster would find it again."""

    def find(engine: str, name: str) -> ReconstructableJob:
        module = f"deploy.{engine}.definitions"
        repository = ReconstructableRepository.for_module(module, fn_name="defs", working_directory=str(root))
        return repository.get_reconstructable_job(name)

    return find


def segger_config(**execution: Any) -> dict[str, Any]:
    """Run config of a small simulated sample."""
    ops = {f"segger_{stage}": {"config": values} for stage, values in SMALL.items()}
    return {"ops": ops, "execution": {"config": execution}}


def place_the_model(job: ReconstructableJob) -> None:
    """Ask for Segger's model without what it needs: the engine is told where its step belongs, and the step fails."""
    done = dg.execute_job(
        job,
        instance=dg.DagsterInstance.get(),
        asset_selection=[dg.AssetKey("segger_model")],
        raise_on_error=False,
    )
    assert not done.success
