from __future__ import annotations

import platform
import subprocess
import sys

import dagster as dg
import pytest

from dagster_definitions.executor import PROCESS, end_dead_runs, this_process


@pytest.fixture
def gone() -> str:
    """The process of a run that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return f"{platform.node()} {process.pid}"


def started(instance: dg.DagsterInstance, process: str, status: dg.DagsterRunStatus) -> str:
    run = dg.DagsterRun(job_name="letters", tags={PROCESS: process}, status=status)
    return instance.add_run(run).run_id


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED),
    ],
)
def test_a_run_whose_process_is_gone_is_ended(
    gone: str, before: dg.DagsterRunStatus, after: dg.DagsterRunStatus
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = started(instance, gone, before)
        assert end_dead_runs(instance) == [run_id]
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == after


@pytest.mark.parametrize("process", [this_process(), "another-host 1", ""], ids=["lives", "elsewhere", "unknown"])
def test_a_run_that_lives_or_of_which_nothing_is_known_is_left_alone(process: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = started(instance, process, dg.DagsterRunStatus.STARTED)
        assert end_dead_runs(instance) == []
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.STARTED
