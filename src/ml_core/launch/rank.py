"""What each rank runs: the stage's function, to its end or to the first error of all."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from ml_core.launch.folder import (
    Spec,
    alive,
    rank_lock,
    record_error,
    wait_for_first_error,
    write_result,
)
from ml_core.launch.watch import WatchFolder
from ml_core.running import Silent, StageRun, Watcher
from ml_core.summary import Summary

SECONDS_FOR_ANOTHERS_ERROR = 2.0
GLOO_LOSSES = ("closed by peer", "reset by peer", "Broken pipe", "Connection refused", "connectFullMesh", "Timed out")


def work(spec_path: Path, watcher: Watcher | None = None) -> None:
    """Run the stage of `spec_path` as one of the ranks that torchrun started. `watcher` is told of rank 0's epochs.

    Never raises: the first error of all ranks is left in the folder. A rank that torchrun sees fail has died.
    """
    folder, rank = spec_path.parent, own_rank()
    for number in (signal.SIGINT, signal.SIGTERM):  # until training has its own answer
        signal.signal(number, signal.default_int_handler)
    if rank:
        be_quiet(folder, rank)
    with alive(rank_lock(folder, rank)), WatchFolder(folder, rank=rank):
        try:
            from ml_core.training.processes import Processes

            processes = Processes.join()
            take_part(spec_path, watcher or Silent())
            processes.leave()
        except BaseException as error:
            report(folder, error)


def take_part(spec_path: Path, watcher: Watcher) -> None:
    """Run the stage's function together with the other ranks; only what rank 0 writes is kept."""
    from ml_core.training.interrupt import Interrupted
    from ml_core.training.processes import FollowerDone

    spec = Spec.read(spec_path)
    family, stage = spec.stage_function()
    function = family.resolve(stage.run)
    if own_rank() == 0:
        run: StageRun = spec.stage_run(stage, directory=Path(spec.directory), watcher=watcher)
        summary: Summary = function(run)
        write_result(spec_path.parent, summary, device=run.device)
        return
    with tempfile.TemporaryDirectory() as thrown_away:
        try:
            function(spec.stage_run(stage, directory=Path(thrown_away), watcher=Silent()))
        except (FollowerDone, Interrupted):  # an interruption is rank 0's to report, once it has saved
            return


def report(folder: Path, error: BaseException) -> None:
    """Leave the error of this rank. What is only the end of another rank, seen from here, waits for that one's own."""
    lost = is_lost_connection(error)
    if lost:
        wait_for_first_error(folder, seconds=SECONDS_FOR_ANOTHERS_ERROR)
    record_error(folder, error, rank=own_rank(), lost=lost)


def is_lost_connection(error: BaseException) -> bool:
    """Whether a collective failed because another rank is gone."""
    import torch.distributed as dist

    text = str(error)
    of_gloo = isinstance(error, RuntimeError) and "gloo" in text and any(word in text for word in GLOO_LOSSES)
    return of_gloo or isinstance(error, dist.DistNetworkError | dist.DistBackendError)


def own_rank() -> int:
    return int(os.environ["RANK"])


def be_quiet(folder: Path, rank: int) -> None:
    """Send whatever this process and its children print into a file; rank 0 speaks for all."""
    sys.stdout.flush()
    sys.stderr.flush()
    with (folder / f"rank-{rank}.txt").open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
