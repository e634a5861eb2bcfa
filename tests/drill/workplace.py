"""Where the drill takes place: a folder with `dagster dev`, which is started again when it has been killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.dagster.live import ROOT, Dev, environment

MODULE = "tests.drill.definitions"
JOB = "line"
POOL = "accelerator"
QUICKER = {"poll_interval_seconds": 3, "free_slots_after_run_end_seconds": 3, "start_timeout_seconds": 120}
RUNS = """{runsOrError(limit: 50) {... on Runs {results {runId status}}}}"""
POOL_OF = """query($key: String!) {instance {concurrencyLimit(concurrencyKey: $key) {
    activeSlotCount pendingStepCount assignedStepCount}}}"""
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
SECONDS_FOR_ANSWER = 300  # on a machine that others use too
UNANSWERED = (urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError)


class Workplace:
    """A folder, its data directory (a tmpfs of its own where it was mounted) and its `dagster dev`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
        settings["run_monitoring"] |= QUICKER
        (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
        self._process: subprocess.Popen[bytes] | None = None
        self._dev: Dev | None = None

    @property
    def dev(self) -> Dev:
        """The running `dagster dev`; started where there is none."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if self._process is None:
            self._start()
        assert self._dev is not None
        return self._dev

    def _start(self) -> None:
        wait_until(lambda: not self.processes("dagster"), seconds=120)  # what is left of the last one
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "-p", str(port), "-h", "127.0.0.1"]
        with (self.folder / "dev.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        self._dev = Dev(self.folder, port)
        if not wait_until(lambda: self._dev is not None and _has_code(self._dev), seconds=SECONDS_FOR_ANSWER):
            raise RuntimeError(f"dagster dev does not answer, see {self.folder / 'dev.log'}")

    def environment(self) -> dict[str, str]:
        return {**environment(self.folder), "OMP_NUM_THREADS": "1"}

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(30)
        self._process = None

    def has_ended(self) -> bool:
        """Whether `dagster dev` is gone, as it is when its webserver or its daemon was killed."""
        return self._process is None or self._process.poll() is not None

    def processes(self, word: str) -> list[psutil.Process]:
        """Living processes of this folder with `word` in their command."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            words = " ".join(process.info["cmdline"] or [])
            dead = process.info["status"] == psutil.STATUS_ZOMBIE
            if process.info["cwd"] == str(self.folder) and word in words and not dead:
                found.append(process)
        return found

    def run_workers(self) -> list[psutil.Process]:
        """Processes that lead a run; with a process per stage, steps are their children."""
        spawned = self.processes("multiprocessing.spawn")
        return [process for process in spawned if _parent(process) not in spawned]

    def steps(self) -> list[psutil.Process]:
        spawned = self.processes("multiprocessing.spawn")
        return [process for process in spawned if _parent(process) in spawned]

    def start_in_shell(self, config: dict[str, Any], name: str, **more: str) -> subprocess.Popen[bytes]:
        """A run of the family beside `dagster dev`, with the same history."""
        preset = self.folder / f"{name}.yaml"
        preset.write_text(yaml.safe_dump({**config, "loggers": {"console": {}}}))
        chosen = ["--select", f"group:{JOB}", "-m", MODULE, "--config", str(preset)]
        with (self.folder / f"{name}.txt").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "dagster", "asset", "materialize", *chosen],
                cwd=self.folder,
                env=self.environment() | more,
                stdout=said,
                stderr=said,
            )

    def end_of(self, run: str, *, seconds: float) -> str:
        """The status a run ends with; the one that it has where it does not end in time."""
        wait_until(lambda: self.status(run) in ENDED, seconds=seconds)
        return self.status(run)

    def status(self, run: str) -> str:
        try:
            return self.dev.status(run)
        except UNANSWERED:
            return "unknown"

    def going_on(self) -> list[str]:
        """Runs that have not ended."""
        runs = self.dev.ask(RUNS)["runsOrError"]["results"]
        return [f"{run['runId']} {run['status']}" for run in runs if run["status"] not in ENDED]

    def taken_slots(self) -> int:
        """Places of the pool that are taken or waited for."""
        limit = self.dev.ask(POOL_OF, key=POOL)["instance"]["concurrencyLimit"]
        return int(limit["activeSlotCount"] + limit["pendingStepCount"] + limit["assignedStepCount"])


@contextmanager
def workplace(folder: Path) -> Iterator[Workplace]:
    place = Workplace(folder)
    try:
        yield place
    finally:
        place.stop()


def wait_until(true: Callable[[], Any], *, seconds: float) -> bool:
    """Whether it became true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.5)
    return bool(true())


def _has_code(dev: Dev) -> bool:
    try:
        return bool(dev.place())
    except (*UNANSWERED, ValueError, KeyError, AssertionError):
        return False


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.NoSuchProcess:
        return None
