"""A run that failed leaves a line that says how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ml_core import journal
from ml_core.artifacts import Store
from ml_core.failures import failures_file
from tests.dagster.conftest import Run


def record(definitions: dg.Definitions, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    """What the daemon does once it has seen the run's failure."""
    sensor = definitions.get_repository_def().get_sensor_def("failures")
    context = dg.build_run_status_sensor_context(
        sensor_name="failures",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        partition_key=None,
        resources=definitions.resources,
    ).for_run_failure()
    sensor(context)


@pytest.mark.parametrize(
    ("stage", "config", "error"),
    [
        ("model", {"model": {"epochs": 0}}, "tiny_model: field 'epochs' is 0"),
        ("raw", {"source": {}, "raw": {"path": "{missing}"}}, "does not exist"),
        ("table", {"table": {"blocking_passes": False}}, "usable"),
    ],
)
def test_a_line_names_the_stage_the_error_and_the_settings(
    run: Run,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    store: Store,
    text: Path,
    stage: str,
    config: dict[str, Any],
    error: str,
) -> None:
    missing = str(text.with_name("missing.txt"))
    config = {key: {k: missing if v == "{missing}" else v for k, v in of.items()} for key, of in config.items()}
    if "source" in config:
        config["source"] = {"path": str(text)}
    result = run(**config)
    assert not result.success
    record(definitions, instance, result)
    rows = journal.read(failures_file(store))
    assert [(row["run"], row["family"], row["stage"]) for row in rows] == [(result.run_id, "tiny", stage)]
    assert error in rows[0]["error"]
    assert "\n" not in rows[0]["error"].strip()
    assert rows[0]["settings"][stage] == config[stage]
    assert rows[0]["go_on"].startswith("python -m ml_core run tiny ")
