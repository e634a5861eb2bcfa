"""A stage in several processes: torchrun started through Dagster Pipes, its epochs and log lines seen as they come."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from ml_core.launch.folder import SECONDS_TO_END
from ml_core.launch.parent import SECONDS_TO_SAVE
from ml_core.running import Watcher


class ThroughPipes:
    """How `run_stage` starts processes here. A cancelled run sends torchrun SIGINT, and the ranks save."""

    worker: tuple[str, ...] = ("dagster_definitions.pipes_worker",)

    def __init__(self, context: dg.AssetExecutionContext, *, watcher: Watcher) -> None:
        self._context, self._watcher = context, watcher

    def __call__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        client = dg.PipesSubprocessClient(
            message_reader=EpochReader(self._watcher), termination_timeout_seconds=SECONDS_TO_SAVE + SECONDS_TO_END
        )
        try:
            client.run(context=self._context.op_execution_context, command=command, env=environment)
        except subprocess.TimeoutExpired:  # its ranks watch for the folder, which is given up now
            raise dg.DagsterExecutionInterruptedError("The processes did not end in time.") from None


class EpochReader(dg.PipesMessageReader):
    """Hands each epoch to the watcher at once; the client itself keeps custom messages until the process has ended."""

    def __init__(self, watcher: Watcher) -> None:
        self._inner, self._watcher = dg.PipesTempFileMessageReader(), watcher

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[Mapping[str, Any]]:
        with self._inner.read_messages(_WithEpochs(handler, self._watcher)) as params:  # type: ignore[arg-type]
            yield params

    @property
    def expected_writer_count(self) -> int:
        """Only rank 0 writes. (Dagster's own property warns that it is in preview.)"""
        return 1

    def no_messages_debug_text(self) -> str:
        return self._inner.no_messages_debug_text()


class _WithEpochs:
    """A message handler that takes the epochs out and leaves the rest to the one of the session."""

    def __init__(self, handler: dg.PipesMessageHandler, watcher: Watcher) -> None:
        self._handler, self._watcher = handler, watcher

    def handle_message(self, message: Any) -> None:
        if message["method"] == "report_custom_message":
            self._watcher.epoch(message["params"]["payload"])
        else:
            self._handler.handle_message(message)

    def report_pipes_framework_exception(self, origin: str, exc_info: Any) -> None:
        self._handler.report_pipes_framework_exception(origin, exc_info)
