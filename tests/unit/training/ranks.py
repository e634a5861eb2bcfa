"""Several ranks on this machine, forked from the test: torch is imported already, so that a start costs nothing."""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ml_core.training.processes import FollowerDone, Processes

DONE, FAILED = 0, 1


def start_ranks(function: Callable[[int], object], *, size: int = 2, errors: Path | None = None) -> list[int]:
    """Process ids of `size` forked ranks that call `function(rank)`; an exception goes to `errors`/rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids = []
    for rank in range(size):
        pid = os.fork()
        if pid == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            os._exit(_call(function, rank, errors))
        pids.append(pid)
    return pids


def end_of(pids: list[int], *, seconds: float = 60) -> list[int]:
    """Exit codes of the ranks; those that do not end in time are killed and count as -9."""
    until = time.monotonic() + seconds
    codes = []
    for pid in pids:
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        codes.append(os.waitstatus_to_exitcode(ended[1]))
    return codes


def run_ranks(function: Callable[[int], object], *, size: int = 2, errors: Path | None = None) -> list[int]:
    return end_of(start_ranks(function, size=size, errors=errors))


def _call(function: Callable[[int], object], rank: int, errors: Path | None) -> int:
    try:
        function(rank)
        Processes.join().leave()
    except FollowerDone:
        Processes.join().leave()
    except BaseException as error:
        if errors is None:
            traceback.print_exc(file=sys.stderr)
        else:
            errors.mkdir(exist_ok=True)
            (errors / str(rank)).write_text(f"{type(error).__name__}: {error}")
        return FAILED
    return DONE
