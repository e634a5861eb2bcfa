"""What starts a family's job by itself, and that nothing does before somebody has switched it on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from ml_core.artifacts import Store
from ml_core.sources import observe_files
from tests.dagster.conftest import Run
from tests.dagster.letters.family import FAMILY

Look = Callable[[], dg.SensorResult]


@pytest.fixture
def sensor(definitions: dg.Definitions) -> dg.SensorDefinition:
    return definitions.get_repository_def().get_sensor_def("tiny_new_data")


@pytest.fixture
def look(sensor: dg.SensorDefinition, store: Store, instance: dg.DagsterInstance, definitions: dg.Definitions) -> Look:
    """One evaluation after the other, each with the cursor that the last one left."""
    cursor: list[str | None] = [None]

    def once() -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor[0], definitions=definitions, resources=definitions.resources
        )
        seen = sensor(context)
        assert isinstance(seen, dg.SensorResult)
        cursor[0] = seen.cursor
        return seen

    return once


def order(store: Store, **config: dict[str, Any]) -> None:
    (store.data / "retrain").mkdir(parents=True, exist_ok=True)
    ops = {f"tiny_{stage}": {"config": values} for stage, values in config.items()}
    (store.data / "retrain" / "tiny.yaml").write_text(yaml.safe_dump({"ops": ops}))


def said(seen: dg.SensorResult) -> str:
    assert not seen.run_requests
    assert isinstance(seen.skip_reason, dg.SkipReason)
    return str(seen.skip_reason.skip_message)


def test_everything_that_starts_by_itself_is_stopped_by_default(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "tiny_new_data",
        "failures",
        "default_automation_condition_sensor",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {"tiny_weekly"}
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.STOPPED}
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}


def test_a_file_dropped_where_the_order_says_calls_for_one_run_that_succeeds(
    look: Look, store: Store, text: Path, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    text.unlink()
    order(store, raw={"path": str(text)}, model={"epochs": 1})
    assert "does not exist" in said(look())
    text.write_text("arrived")
    assert "it may still be written" in said(look())
    (request,) = look().run_requests or []
    assert "nothing has changed" in said(look())

    job = definitions.resolve_job_def("tiny")
    assert job.execute_in_process(run_config=request.run_config, instance=instance, tags=request.tags).success
    raw = store.current("tiny", "raw")
    assert raw is not None
    assert raw.manifest["outside"] == observe_files([text]).digest
    assert "nothing has changed" in said(look())


def test_without_an_order_the_newest_report_is_made_again_from_the_changed_file(
    look: Look, run: Run, store: Store, text: Path
) -> None:
    assert "nothing is known to run again" in said(look())
    run(table={"factor": 3}, model={"epochs": 1})
    look()
    assert "same bytes" in said(look())  # the run was made of them
    text.write_text("changed")
    look()
    (request,) = look().run_requests or []
    ops = {op: entry["config"] for op, entry in request.run_config["ops"].items() if entry["config"]}
    assert ops == {"tiny_raw": {"path": str(text)}, "tiny_table": {"factor": 3}, "tiny_model": {"epochs": 1}}


def test_the_same_bytes_again_call_for_nothing(look: Look, store: Store, text: Path) -> None:
    order(store, raw={"path": str(text)})
    look()
    assert look().run_requests
    text.write_text(text.read_text())
    os.utime(text, ns=(1, 1))
    look()
    assert "same bytes" in said(look())


def test_a_deleted_file_calls_for_nothing_and_is_named(look: Look, store: Store, text: Path) -> None:
    order(store, raw={"path": str(text)})
    look()
    assert look().run_requests
    text.unlink()
    assert f"{text}: does not exist" in said(look())
    text.write_text("new")
    look()
    assert look().run_requests


def test_each_run_request_has_a_key_of_its_own(look: Look, store: Store, text: Path) -> None:
    """Dagster drops a request whose key it has seen: a change back to old bytes must not be dropped."""
    order(store, raw={"path": str(text)})
    keys = []
    for content in ("one", "another", "one"):
        text.write_text(content)
        requests = [request for _ in range(3) for request in look().run_requests or []]
        assert len(requests) == 1
        keys.append(requests[0].run_key)
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("ops", "sentence"),
    [
        ({"tiny_raw": {"config": {"pth": "x"}}}, "unknown field 'pth'"),
        ({"tiny_rwa": {"config": {}}}, "unknown stage 'rwa'"),
        ({"tiny_raw": {"config": {"path": "/etc/passwd"}}}, "outside the data directory"),
    ],
)
def test_an_order_that_does_not_fit_is_one_sentence(
    look: Look, store: Store, ops: dict[str, Any], sentence: str
) -> None:
    order(store)
    (store.data / "retrain" / "tiny.yaml").write_text(yaml.safe_dump({"ops": ops}))
    assert sentence in said(look())


def test_an_order_may_allow_what_lies_outside(look: Look, store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    order(store, raw={"path": str(outside)})
    assert "outside the data directory" in said(look())
    path = store.data / "retrain" / "tiny.yaml"
    allowed = {"resources": {"data_root": {"config": {"allow_outside": True}}}}
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **allowed}))
    look()
    (request,) = look().run_requests or []
    assert request.run_config["resources"] == allowed["resources"]


def test_the_week_runs_the_standing_order_or_says_that_there_is_none(
    definitions: dg.Definitions, store: Store, text: Path
) -> None:
    schedule = definitions.get_repository_def().get_schedule_def("tiny_weekly")
    context = dg.build_schedule_context(resources=definitions.resources)
    (skipped,) = [schedule.evaluate_tick(context).skip_message]
    assert "nothing is known to run again" in (skipped or "")
    order(store, raw={"path": str(text)})
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config == {"ops": {"tiny_raw": {"config": {"path": str(text)}}}}
    assert schedule.job_name == "tiny"


def test_only_the_report_is_made_by_itself_when_what_it_reads_is_new(
    definitions: dg.Definitions, instance: dg.DagsterInstance, run: Run, text: Path
) -> None:
    graph = definitions.resolve_asset_graph()
    automatic = {node.key.to_user_string() for node in graph.asset_nodes if node.automation_condition}
    assert automatic == {"tiny_report"}
    run()
    before = dg.evaluate_automation_conditions(definitions, instance)
    assert before.total_requested == 0
    run(only=["model"], model={"epochs": 1})
    after = dg.evaluate_automation_conditions(definitions, instance, cursor=before.cursor)
    assert after.get_num_requested(dg.AssetKey(f"{FAMILY.name}_report")) == 1
    assert after.total_requested == 1
