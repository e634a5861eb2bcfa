"""Training in several processes, seen and stopped through Dagster."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_definitions.definitions import build_definitions
from ml_core.artifacts import Store
from tests.unit.launch.company.family import FAMILY

Run = Callable[..., dg.ExecuteInProcessResult]
MODEL = dg.AssetKey("company_model")


@pytest.fixture
def run(instance: dg.DagsterInstance, store: Store) -> Run:
    job = build_definitions([FAMILY]).resolve_job_def("company")

    def execute(run_id: str | None = None, **settings: Any) -> dg.ExecuteInProcessResult:
        config = {"ops": {"company_model": {"config": settings}}}
        return job.execute_in_process(run_config=config, instance=instance, raise_on_error=False, run_id=run_id)

    return execute


def observations(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetObservation]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    return [record.event_log_entry.asset_observation for record in records]  # type: ignore[misc]


def messages(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [event.user_message for event in instance.all_logs(run_id)]


def test_a_cancelled_run_has_shown_its_epochs_as_they_came_and_has_saved(
    run: Run, instance: dg.DagsterInstance, store: Store
) -> None:
    run_id = str(uuid.uuid4())

    def cancel() -> None:
        """As Dagster's run worker does, once two epochs are seen: the run is marked, then the process gets SIGINT."""
        while len(observations(instance, run_id)) < 2:
            time.sleep(0.05)
        instance.report_run_canceling(instance.get_run_by_id(run_id))  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=cancel)
    thread.start()
    run(run_id, epochs=400, seconds_per_epoch=0.2)
    thread.join()
    found = instance.get_run_by_id(run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.CANCELED
    seen = observations(instance, run_id)
    assert [each.metadata["epoch"].value for each in seen] == list(range(1, len(seen) + 1))
    assert [each.metadata["train_loss"].value for each in seen[:2]] == [1, 0.5]
    (checkpoint,) = store.data.glob("runs/company/model/*/checkpoint")
    assert int(checkpoint.read_text()) == len(seen)
    assert f"{checkpoint} is saved, start the same run again" in "\n".join(messages(instance, run_id))


@pytest.mark.slow
def test_the_first_error_of_a_rank_is_the_failure_in_one_sentence(run: Run) -> None:
    result = run(fault="user", fault_rank=1)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.user_failure_data.description == "Sample 7 is broken; mend it."


@pytest.mark.slow
def test_what_the_first_rank_logs_is_in_the_log_and_its_artifact_is_dagsters(
    run: Run, instance: dg.DagsterInstance, store: Store
) -> None:
    result = run()
    assert result.success
    said = messages(instance, result.run_id)
    assert said.count("company trains on rank 0") == 1
    assert "company trains on rank 1" not in said
    current = store.current("company", "model")
    assert current is not None
    assert Path(current.directory, "weights").read_text() == "2"
    assert len(observations(instance, result.run_id)) == 2
