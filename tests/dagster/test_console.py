"""What a person reads in the terminal."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest

from dagster_definitions.console import console
from ml_core.artifacts import Store


def shown(definitions: dg.Definitions, instance: dg.DagsterInstance, config: dict[str, object]) -> None:
    ops = {"ops": {name: {"config": values} for name, values in config.items()}}
    definitions.resolve_job_def("tiny").execute_in_process(
        run_config={**ops, "loggers": {"console": {}}}, instance=instance, raise_on_error=False
    )


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("dagster_definitions.console").handlers = []


def test_what_the_user_must_mend_is_a_line_without_a_stack_trace(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    store: Store,
    text: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = {"tiny_raw": {"path": str(text)}, "tiny_table": {"factor": 0}}
    shown(definitions, instance, config)
    lines = capsys.readouterr().err.splitlines()
    sentence = "tiny_table: ERROR tiny_table: field 'factor' is 0: input should be greater than or equal to 1."
    assert [line for line in lines if line.endswith(sentence)]
    assert not [line for line in lines if "Stack Trace" in line or "Traceback" in line or "Not executing" in line]


def test_a_failed_check_is_told_with_its_remedy(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    store: Store,
    text: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = {"tiny_raw": {"path": str(text)}, "tiny_table": {"blocking_passes": False}}
    shown(definitions, instance, config)
    error = capsys.readouterr().err
    assert "check usable failed: 10 letters. The table is of no use. Write another text." in error
    assert "Stack Trace" not in error


def test_the_logger_is_not_doubled_by_a_second_run() -> None:
    context = dg.build_init_logger_context(logger_config={"log_level": "INFO"})
    for _ in range(2):
        logger = console.logger_fn(context)
    assert len(logger.handlers) == 1
