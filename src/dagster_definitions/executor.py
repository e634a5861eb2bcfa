"""Dagster's own executor, and what it lacks: an end for runs whose process is gone.

Measured on 1.13.27: a run that the shell started and whose process was killed stays STARTED for ever. It then counts
among the runs that go on, and run monitoring does not see it: it looks after runs that the daemon launched.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

PROCESS = "bioassets/process"  # tag of a run: host and pid of the process that leads it


def _requirements(config: Mapping[str, Any]) -> list[Any]:
    return dg.multiple_process_executor_requirements() if "multiprocess" in config else []


@dg.executor(
    name="multi_or_in_process_executor",
    config_schema=dg.multi_or_in_process_executor.config_schema,
    requirements=_requirements,
)
def stage_executor(init_context: dg.InitExecutorContext) -> dg.Executor:
    """A process per stage, or all stages in this one (`execution: {config: {in_process: {}}}`)."""
    inner = dg.multi_or_in_process_executor.executor_creation_fn(init_context)
    return StageExecutor(inner)


class StageExecutor(dg.Executor):
    """Runs the stages as `inner` does, after it has ended the runs whose process is gone."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        instance: dg.DagsterInstance = plan_context.instance
        instance.add_run_tags(plan_context.run_id, {PROCESS: this_process()})
        end_dead_runs(instance)
        yield from self._inner.execute(plan_context, execution_plan)


def this_process() -> str:
    return f"{platform.node()} {os.getpid()}"


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Ids of the runs that went on in the history while their process on this host is gone; they are ended now."""
    ended = []
    going_on = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for run in instance.get_runs(going_on):
        if not _is_dead(run.tags.get(PROCESS, "")):
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run)
        else:
            instance.report_run_failed(run, "Its process is gone: it was killed, or the machine was. Run it again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def _is_dead(process: str) -> bool:
    """Whether "host pid" names a process of this host and user that is gone. Of other hosts nothing is known."""
    host, _, pid = process.rpartition(" ")
    if host != platform.node() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, PermissionError):  # the number may have gone to a process of somebody else
        return True
    return False
