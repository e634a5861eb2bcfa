"""One training stage in several processes on this machine: start them, wait for them, and leave none behind."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from ml_core.launch.folder import (
    AGENT_LOG,
    PARENT_LIVES,
    SECONDS_TO_END,
    SPEC,
    Spec,
    alive,
    new_folder,
    read_deaths,
    read_first_error,
    read_result,
    wait_for_ranks,
)
from ml_core.running import StageRun
from ml_core.stages import Family, Stage
from ml_core.summary import Summary

log = logging.getLogger(__name__)

SECONDS_TO_SAVE = 120  # from a stop that was asked for to the end of the window in progress and a checkpoint on disk


class Start(Protocol):
    """How a command is run to its end.

    worker: the module, and what stands before the spec's path on its command line, that each rank runs. It must call
    `ml_core.launch.rank.work`. Epochs reach a run's watcher only where `worker` and `__call__` carry them.
    """

    worker: tuple[str, ...]

    def __call__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Return, or raise, when the command has ended; a stop that is asked for is passed on to it as a signal."""


class InSubprocess:
    """Start a plain subprocess. SIGINT and SIGTERM are passed on, and end in KeyboardInterrupt."""

    worker: tuple[str, ...] = ("ml_core", "work")

    def __call__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
        try:
            with _passed_on(process) as asked:
                while process.poll() is None:
                    _wait(process, seconds=1.0)
                    if asked and time.monotonic() - asked[0] > SECONDS_TO_SAVE + SECONDS_TO_END:
                        process.kill()
            if asked:
                raise KeyboardInterrupt
        finally:
            if process.poll() is None:
                process.terminate()
                _wait(process, seconds=SECONDS_TO_SAVE + SECONDS_TO_END)
                process.kill()
                process.wait()


def run_in_processes(family: Family, stage: Stage, run: StageRun, *, count: int, start: Start) -> Summary:
    """Run the stage's function in `count` ranks; rank 0 writes into `run.directory`. Returns what it returned.

    Raises the first error of all ranks as if the stage had run here: UserError, Interrupted with its checkpoint, or a
    RuntimeError with that rank's traceback. When this returns or raises, the ranks have let go
    of the folder and are exiting.
    """
    folder = new_folder(run.work)
    Spec.of(family, stage, run).write(folder / SPEC)
    log.info("%s %s: starts %d processes", family.name, stage.name, count)
    try:
        try:
            with alive(folder / PARENT_LIVES):
                start(_command(folder, count=count, worker=start.worker), _environment(count))
        except BaseException:
            wait_for_ranks(folder)
            first = read_first_error(folder)
            if first is None or first.kind != "at_once":  # there the one who stopped it knows best what to raise
                _raise_first_error(folder, count=count)
            raise
        wait_for_ranks(folder)
        _raise_first_error(folder, count=count)
        result = read_result(folder)
        if result is None:
            raise RuntimeError(f"the processes ended without a result:\n{_agent_log(folder)}")
        summary, run.device = result
        return summary
    finally:
        log.debug("torchrun: %s", _agent_log(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _command(folder: Path, *, count: int, worker: Sequence[str]) -> list[str]:
    torchrun = ["--standalone", f"--nproc-per-node={count}", "-m", *worker, str(folder / SPEC)]
    return [sys.executable, "-m", "ml_core.launch.agent", str(folder), *torchrun]


def _environment(count: int) -> dict[str, str]:
    """This process' environment, in which the ranks find the modules that it finds."""
    places = [place or os.getcwd() for place in sys.path]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "OMP_NUM_THREADS": str(max(1, cores // count)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # its warnings of failed host lookups say nothing on a single machine
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SECONDS_TO_SAVE),  # older versions of torch do not know it, and wait 30 s
    }


def _raise_first_error(folder: Path, *, count: int) -> None:
    """Raise what a rank left. When a rank died, what the others saw of it and of torchrun's answer explains less."""
    first, deaths = read_first_error(folder), read_deaths(folder)
    if first is not None and (first.kind in ("user", "fault") or not deaths):
        raise first.exception() from None
    if deaths:
        rank, code = next(iter(deaths.items()))
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        printed = folder / f"rank-{rank}.txt"
        last = printed.read_text(errors="replace")[-2000:] if printed.is_file() else ""
        raise RuntimeError(
            f"Process {rank + 1} of {count} {how} while training; if memory ran out (SIGKILL), lower batch_size or "
            f"nproc. The same run goes on from its last checkpoint.\n{last}".rstrip()
        )


def _agent_log(folder: Path) -> str:
    path = folder / AGENT_LOG
    return path.read_text(errors="replace")[-5000:] if path.is_file() else "torchrun did not start"


def _wait(process: subprocess.Popen[Any], *, seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@contextmanager
def _passed_on(process: subprocess.Popen[Any]) -> Iterator[list[float]]:
    """Within, signals that ask for a stop go to `process`. Yields when they came. Only the main thread can."""
    asked: list[float] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.append(time.monotonic())
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
