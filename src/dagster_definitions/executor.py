"""Dagster's own executor, and what it lacks: a killed run keeps nothing from others, and waiting can be stopped.

Measured on 1.13.27: a run whose process was killed stays STARTED and holds its place in a pool for ever (run monitoring
frees places of ended runs only, and only while the daemon runs); an in-process run that waits for a place spins on the
CPU and hears neither Ctrl-C nor SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any, cast

import dagster as dg

PROCESS = "bioassets/process"  # tag of a run: host and pid of the process that leads it
SECONDS_BETWEEN_LOOKS = 1.0


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
    return StageExecutor(inner, in_process="in_process" in init_context.executor_config)


class StageExecutor(dg.Executor):
    """Runs the stages as `inner` does, after it has ended the runs whose process is gone."""

    def __init__(self, inner: dg.Executor, *, in_process: bool) -> None:
        self._inner = inner
        self._in_process = in_process

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
        events = cast(Generator[dg.DagsterEvent], self._inner.execute(plan_context, execution_plan))
        with contextlib.closing(events):
            for event in events:
                yield event
                pool = blocked_by(event)
                if pool is not None and self._in_process:  # else other stages go on meanwhile
                    plan_context.log.warning(f"{event.step_key} waits for its place in the pool '{pool}'.")
                    wait_for_place(instance, pool, run_id=plan_context.run_id)


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


def blocked_by(event: dg.DagsterEvent) -> str | None:
    """The pool that has no place for the event's step, if that is what the event says."""
    if event.event_type != dg.DagsterEventType.ENGINE_EVENT or event.step_key is None:
        return None
    pool = event.engine_event_data.metadata.get("pool")
    return str(pool.value) if pool is not None else None


def wait_for_place(instance: dg.DagsterInstance, pool: str, *, run_id: str) -> None:
    """Come back when the pool has a free place or one for this run; an interrupt ends the wait."""
    with dg.raise_execution_interrupts():
        while True:
            info = instance.event_log_storage.get_concurrency_info(pool)
            if len(info.claimed_slots) < info.slot_count or run_id in info.assigned_run_ids:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
            end_dead_runs(instance)


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
