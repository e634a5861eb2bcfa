"""The tiny family behind Dagster's door, with a data directory and a history of each test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_definitions.definitions import build_definitions
from ml_core.artifacts import Store
from tests.dagster.letters.family import FAMILY

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that the assets use in this test."""
    monkeypatch.setenv("BIOASSETS_DATA", str(tmp_path / "data"))
    return Store(tmp_path / "data")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """What the tiny family reads, in the data directory, outside of which nothing is read."""
    path = tmp_path / "data" / "inbox" / "text.txt"
    path.parent.mkdir(parents=True)
    path.write_text("hello")
    return path


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    return build_definitions([FAMILY])


@pytest.fixture
def run(definitions: dg.Definitions, instance: dg.DagsterInstance, store: Store, text: Path) -> Run:
    """Run the job `tiny`, or the assets `only`; keywords are the config of the stages."""

    def execute(only: list[str] | None = None, run_id: str | None = None, **config: dict[str, Any]) -> Any:
        config = {"raw": {"path": str(text)}, **config}
        job = definitions.resolve_job_def("tiny")
        ops = {f"tiny_{stage}": {"config": values} for stage, values in config.items()}
        selection = [dg.AssetKey(f"tiny_{stage}") for stage in only] if only else None
        if selection:
            ops = {name: entry for name, entry in ops.items() if name.removeprefix("tiny_") in (only or [])}
        return job.execute_in_process(
            run_config={"ops": ops}, instance=instance, asset_selection=selection, raise_on_error=False, run_id=run_id
        )

    return execute


def materialization(result: dg.ExecuteInProcessResult, stage: str) -> dg.AssetMaterialization:
    """The materialization of `tiny_<stage>` in a run."""
    return result.asset_materializations_for_node(f"tiny_{stage}")[0]


def value(result: dg.ExecuteInProcessResult, stage: str, name: str) -> Any:
    """One value in the metadata of `tiny_<stage>` in a run."""
    return materialization(result, stage).metadata[name].value


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """Stages of the tiny family that a run made."""
    events = [event.asset_key for event in result.all_events if event.is_step_materialization]
    names = [key.to_user_string() for key in events if key]
    return {name.removeprefix("tiny_") for name in names if name.startswith("tiny_")}


def failure(result: dg.ExecuteInProcessResult, stage: str) -> dg.DagsterEvent:
    return next(event for event in result.all_events if event.is_step_failure and event.step_key == f"tiny_{stage}")
