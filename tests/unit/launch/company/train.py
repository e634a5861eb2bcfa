"""Epochs counted by several processes: they agree on a stop, the first one saves, the others end with FollowerDone."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from pathlib import Path

from ml_core.errors import UserError
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.interrupt import Interrupted, StopRequest
from ml_core.training.processes import FollowerDone, Processes
from ml_core.training.task import Training

log = logging.getLogger("ml_core.company")


def prepare(run: StageRun) -> Training:
    raise UserError("company: the model only counts epochs, so that there is nothing to look at without running it.")


def train(run: StageRun) -> Summary:
    settings, processes = run.settings, Processes.join()
    checkpoint = run.work / "checkpoint"
    start = int(checkpoint.read_text()) if checkpoint.exists() else 0
    (run.work / f"pid-{processes.rank}").write_text(str(os.getpid()))
    print(f"rank {processes.rank} prints", flush=True)
    log.info("company trains on rank %d", processes.rank)
    with StopRequest(None) as stop:
        for epoch in range(start + 1, settings.epochs + 1):
            cause = epoch_until_stopped(stop, settings.seconds_per_epoch)
            causes = [each for each in processes.gather(cause) if each]
            if causes:
                raise Interrupted(causes[0], checkpoint if checkpoint.exists() else None)
            if processes.leads:
                checkpoint.write_text(str(epoch))
                run.watcher.epoch({"epoch": epoch, "train_loss": 1 / epoch})
            plant(settings, processes.rank, run.work)
    if not processes.leads:
        raise FollowerDone
    (run.directory / "weights").write_text(str(processes.size))
    run.device = f"{processes.size} processes"
    return Summary(headline=f"{settings.epochs} epochs.", numbers={"train.started_after_epoch": start})


def epoch_until_stopped(stop: StopRequest, seconds: float) -> str | None:
    """Compute for so long, or until asked to stop: by whom."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stop.asked():
        time.sleep(0.01)
    return stop.asked()


def plant(settings: object, rank: int, work: Path) -> None:
    if settings.fault == "none":
        return
    if rank == settings.fault_rank:
        (work / "failed_at").write_text(str(time.time()))
        if settings.fault == "user":
            raise UserError("Sample 7 is broken; mend it.")
        if settings.fault == "fault":
            raise RuntimeError("planted")
        os.kill(os.getpid(), signal.SIGKILL)
    while settings.hangs:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(60)
