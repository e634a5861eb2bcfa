"""Several processes that a user started: torchrun --nproc-per-node 2 -m ml_core run FAMILY.

Rank 0 runs all stages as it would alone. At a stage that trains it names the stage to the others, and they take part.
The ranks may stand on several machines that see the data directory under the same path.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml_core.launch.folder import SPEC, Spec, new_folder, read_first_error
from ml_core.launch.rank import be_quiet, is_lost_connection, own_rank, report, take_part
from ml_core.launch.watch import Watch, WatchFolder
from ml_core.running import Silent, StageRun
from ml_core.stages import Family, Stage
from ml_core.summary import Summary

if TYPE_CHECKING:
    from ml_core.training.processes import Processes

NOTHING: str | None = None  # named to the others when no more stage trains


def in_company() -> bool:
    """Whether torchrun started this process beside others. Known without torch."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def leading() -> Iterator[None]:
    """Within, the others wait to be told what to take part in; at its end they end."""
    from ml_core.training.processes import Processes

    with Watch():
        processes = Processes.join()
        try:
            yield
        finally:
            if _together():
                processes.broadcast(NOTHING)
                processes.leave()


def lead(family: Family, stage: Stage, run: StageRun) -> Summary:
    """Run a stage that trains, together with the others. Raises the first error of all ranks."""
    from ml_core.training.processes import Processes

    folder = new_folder(run.work)
    Spec.of(family, stage, run).write(folder / SPEC)
    processes = Processes.join()
    processes.broadcast(str(folder / SPEC))
    try:
        with WatchFolder(folder, last_words=lambda: _tell(folder)):
            summary: Summary = family.resolve(stage.run)(run)
            return summary
    except BaseException as error:
        report(folder, error)
        processes.leave()  # whoever waits for this rank hears of it now
        first = read_first_error(folder)
        if first is None or first.rank == own_rank():
            raise
        raise first.exception() from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def follow() -> None:
    """Take part in whatever rank 0 names, until it ends or a stage fails. Rank 0 reports; this prints nothing."""
    from ml_core.training.processes import Processes

    for number in (signal.SIGINT, signal.SIGTERM):  # while it waits, rank 0 decides; while it trains, training answers
        signal.signal(number, signal.SIG_IGN)
    with Watch():
        processes = Processes.join()
        while (named := _next_spec(processes)) is not None:
            spec_path = Path(named)
            be_quiet(spec_path.parent, own_rank())
            with WatchFolder(spec_path.parent):
                try:
                    take_part(spec_path, Silent())
                except BaseException as error:
                    report(spec_path.parent, error)
                    return
        processes.leave()


def _next_spec(processes: Processes) -> str | None:
    try:
        return processes.broadcast(NOTHING)
    except RuntimeError as error:
        if is_lost_connection(error):  # rank 0 is gone, and has said why
            return None
        raise


def _together() -> bool:
    import torch.distributed as dist

    return dist.is_initialized()


def _tell(folder: Path) -> None:
    first = read_first_error(folder)
    if first is not None:
        print(f"error: {first.exception()}", file=sys.stderr, flush=True)
