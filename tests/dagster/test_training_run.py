"""Training seen live, cancelled, and gone on with."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid

import dagster as dg
import pytest

from dagster_definitions import training_run
from dagster_definitions.training_run import stopped_with_parent
from ml_core.artifacts import Store
from tests.dagster.conftest import Run, failure, materialized, value

MODEL = dg.AssetKey("tiny_model")


def observations(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetObservation]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    found = [record.event_log_entry.asset_observation for record in records]
    return [each for each in found if each is not None and each.asset_key == MODEL]


def test_each_epoch_is_one_observation_with_its_numbers(run: Run, instance: dg.DagsterInstance) -> None:
    seen = observations(instance, run(model={"epochs": 3}).run_id)
    assert [each.metadata["epoch"].value for each in seen] == [1, 2, 3]
    assert seen[1].metadata["train_loss"].value == 0.5
    assert set(seen[1].metadata) == {"epoch", "train_loss", "learning_rate", "samples_per_second"}


def test_a_value_that_is_not_finite_is_named_instead_of_plotted(run: Run, instance: dg.DagsterInstance) -> None:
    first = observations(instance, run().run_id)[0]
    assert "val_loss" not in first.metadata
    assert first.description == "epoch 1: val_loss is nan"


def test_a_cached_model_observes_no_epoch(run: Run, instance: dg.DagsterInstance) -> None:
    run()
    assert observations(instance, run().run_id) == []


def test_a_cancelled_run_is_canceled_keeps_its_checkpoint_and_the_next_goes_on(
    run: Run, instance: dg.DagsterInstance, store: Store
) -> None:
    run_id = str(uuid.uuid4())
    settings = {"epochs": 40, "seconds_per_epoch": 0.05}

    def cancel() -> None:
        """As Dagster's run worker does: the run is marked, then the process gets SIGINT."""
        while len(observations(instance, run_id)) < 2:
            time.sleep(0.01)
        instance.report_run_canceling(instance.get_run_by_id(run_id))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=cancel)
    thread.start()
    run(model=settings, run_id=run_id)
    thread.join()
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.CANCELED
    assert store.current("tiny", "model") is None
    events = instance.all_logs(run_id)
    assert not [each for each in events if each.is_dagster_event and each.dagster_event.is_step_up_for_retry]
    (ended,) = [each.dagster_event for each in events if each.is_dagster_event and each.dagster_event.is_step_failure]
    assert "start the same run again to go on from there" in ended.step_failure_data.error.message

    again = run(model={**settings, "seconds_per_epoch": 0.0})
    assert again.success
    assert value(again, "model", "train.started_after_epoch") >= 2


def test_a_run_that_is_interrupted_without_being_cancelled_does_not_succeed(
    run: Run, instance: dg.DagsterInstance
) -> None:
    run_id = str(uuid.uuid4())

    def interrupt() -> None:
        while not observations(instance, run_id):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    run(model={"epochs": 40, "seconds_per_epoch": 0.05}, run_id=run_id)
    thread.join()
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE


class _Gone:
    def is_alive(self) -> bool:
        return False


def test_a_process_whose_parent_is_gone_is_asked_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
    monkeypatch.setattr(training_run.multiprocessing, "parent_process", _Gone)
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN_LOOKS", 0.01)
    try:
        with stopped_with_parent():
            assert asked.wait(10)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_process_that_the_user_started_himself_is_left_alone() -> None:
    with stopped_with_parent():
        assert "watch-parent" not in {thread.name for thread in threading.enumerate()}


def test_a_failure_of_the_program_shows_its_own_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(directory: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("tests.dagster.letters.train.StopRequest", broken)
    result = run()
    assert failure(result, "model").step_failure_data.error.cause.cls_name == "RuntimeError"
    assert materialized(result) == {"raw", "table"}
