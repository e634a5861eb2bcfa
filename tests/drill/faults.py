"""The faults. Each starts a run with `config`, does harm at a moment that `random` chose, and says what it saw."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.drill.workplace import ENDED, UNANSWERED, Workplace, wait_until

Config = dict[str, Any]
Fault = Callable[[Workplace, random.Random, Config], str]
IN_PROCESS = {"execution": {"config": {"in_process": {}}}}
SECONDS_TO_END = 400
FAILED = """query($id: ID!) {logsForRun(runId: $id) {... on EventConnection {events {
    ... on ExecutionStepFailureEvent {error {message}}}}}}"""
SECONDS_OF_TRAINING = 7.0  # on an idle machine: kills fall therein


def kill_step(place: Workplace, moments: random.Random, config: Config) -> str:
    """kill -9 of a stage's process; the run's other process lives."""
    run = place.dev.launch("line", config)  # a process per stage
    stage = moments.choice(["line_points", "line_model", "line_model", "line_report"])
    trains = stage == "line_model" and moments.random() < 0.75
    wait_until(lambda: _trains(place, run) if trains else _started(place, run, stage), seconds=SECONDS_TO_END)
    time.sleep(moments.uniform(0, SECONDS_OF_TRAINING if stage == "line_model" else 0.5))
    killed = _kill(place.steps())
    return f"{killed} in {stage}; the run: {place.end_of(run, seconds=SECONDS_TO_END)}"


def kill_run_worker(place: Workplace, moments: random.Random, config: Config) -> str:
    """kill -9 of the process that leads a run; with all stages in it, or with a process per stage below it."""
    per_stage = moments.random() < 0.25
    run = place.dev.launch("line", config if per_stage else {**config, **IN_PROCESS})
    where = _some_moment(place, run, moments)
    wait_until(lambda: place.run_workers() or place.status(run) in ENDED, seconds=SECONDS_TO_END)
    killed = _kill(place.run_workers())
    how = "a process per stage" if per_stage else "one process"
    return f"{killed} ({how}) {where}; the run: {place.end_of(run, seconds=SECONDS_TO_END)}"


def kill_webserver(place: Workplace, moments: random.Random, config: Config) -> str:
    return _kill_service(place, moments, config, word="dagster_webserver")


def kill_daemon(place: Workplace, moments: random.Random, config: Config) -> str:
    return _kill_service(place, moments, config, word="dagster._daemon")


def _kill_service(place: Workplace, moments: random.Random, config: Config, *, word: str) -> str:
    """kill -9 of a service while a run goes on. `dagster dev` then ends by itself, and is started again."""
    run = place.dev.launch("line", {**config, **IN_PROCESS})
    where = _some_moment(place, run, moments)
    killed = _kill(place.processes(word)[:1])
    gone = wait_until(place.has_ended, seconds=120)
    after = f"dagster dev {'ended and was started again' if gone else 'lived'}"
    return f"{killed} {where}; {after}; the run: {place.end_of(run, seconds=SECONDS_TO_END)}"


def _some_moment(place: Workplace, run: str, moments: random.Random) -> str:
    """Wait for a random moment of a run: of its first seconds, of its start, or of its training. Says what it was."""
    after = moments.choice(["launch", "start", "first epoch", "first epoch"])
    if after == "start":
        wait_until(place.run_workers, seconds=SECONDS_TO_END)
    elif after == "first epoch":
        wait_until(lambda: _trains(place, run), seconds=SECONDS_TO_END)
    wait = moments.uniform(0, SECONDS_OF_TRAINING)
    time.sleep(wait)
    return f"{wait:.1f} s after its {after}, when the run was {place.status(run)}"


def full_disk(place: Workplace, moments: random.Random, config: Config) -> str:
    """The file system of the data directory has room for a random part of what the run writes."""
    config["ops"]["line_model"]["config"]["ballast_mb"] = 8
    room = int(moments.uniform(0, 9e6))
    filler = place.data / "filler"
    with filler.open("wb") as file:
        left = shutil.disk_usage(place.data).free - room
        while left > 0:
            left -= file.write(bytes(min(left, 2**20)))
    run = place.dev.launch("line", {**config, **IN_PROCESS})
    end = place.end_of(run, seconds=SECONDS_TO_END)
    failed = place.dev.ask(FAILED, id=run)["logsForRun"]["events"]
    said = next((event["error"]["message"] for event in failed if event.get("error")), "nothing")
    filler.unlink()
    said = " ".join(said.replace(f"{place.folder}/", "").split())  # the page is read where that folder is not
    return f"{room / 1e6:.1f} MB were free; the run: {end}; it said: {said[:300]}"


def two_runs(place: Workplace, moments: random.Random, config: Config) -> str:
    """The same run in Dagster and, a random moment later, in a shell beside it."""
    run = place.dev.launch("line", {**config, **IN_PROCESS})
    time.sleep(moments.uniform(0, SECONDS_OF_TRAINING))
    shell = place.start_in_shell({**config, **IN_PROCESS}, "beside")
    end = place.end_of(run, seconds=SECONDS_TO_END)
    code = shell.wait(SECONDS_TO_END)
    cached = (place.folder / "beside.txt").read_text().count("is taken as it is")
    return f"in Dagster: {end}; in the shell: exit code {code}, {cached} of 3 stages taken from the other"


def moved_clock(place: Workplace, moments: random.Random, config: Config) -> str:
    """A run in a shell whose clock jumps by days, forwards or back, while it goes on. The services keep theirs."""
    days = moments.choice([-400, -2, 2, 400])
    clock = place.folder / "clock"
    clock.write_text("0\n")
    own = {"LD_PRELOAD": str(_clock_library(place.folder)), "DRILL_CLOCK": str(clock)}
    run = place.start_in_shell({**config, **IN_PROCESS}, "clock", **own)
    runs = place.data / "runs" / "line" / "model"
    wait_until(lambda: (runs.is_dir() and any(runs.iterdir())) or run.poll() is not None, seconds=SECONDS_TO_END)
    time.sleep(moments.uniform(0, SECONDS_OF_TRAINING))
    going_on = run.poll() is None
    clock.write_text(f"{days * 86400}\n")
    code = run.wait(SECONDS_TO_END)
    return f"moved by {days:+d} days {'while it trained' if going_on else 'too late'}; the run: exit code {code}"


def _clock_library(folder: Path) -> Path:
    """clock.c, compiled."""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return library


FAULTS: dict[str, tuple[Fault, int]] = {  # how often each of twenty times
    "kill -9 of a step": (kill_step, 4),
    "kill -9 of a run worker": (kill_run_worker, 4),
    "kill -9 of the webserver": (kill_webserver, 3),
    "kill -9 of the daemon": (kill_daemon, 3),
    "disk full": (full_disk, 2),
    "two runs of one family": (two_runs, 2),
    "clock moved": (moved_clock, 2),
}


def _started(place: Workplace, run: str, stage: str) -> bool:
    """Whether this stage has begun and its process lives, or the run is over."""
    asked = "query($id: ID!) {runOrError(runId: $id) {... on Run {status stepStats {stepKey startTime endTime}}}}"
    try:
        told = place.dev.ask(asked, id=run)["runOrError"]
    except UNANSWERED:
        return False
    of_stage = [each for each in told.get("stepStats") or [] if each["stepKey"] == stage]
    return bool(of_stage and of_stage[0]["startTime"]) or told.get("status") in ENDED


def _trains(place: Workplace, run: str) -> bool:
    """Whether an epoch has been seen, or the run is over."""
    try:
        return place.dev.epochs(run, "line_model") > 0 or place.dev.status(run) in ENDED
    except UNANSWERED:
        return False


def _kill(processes: list[psutil.Process]) -> str:
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    return f"killed {len(processes)}" if processes else "found nothing to kill"
