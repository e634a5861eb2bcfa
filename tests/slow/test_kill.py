"""kill -9 at random moments of a training: the same command goes on, and ends where an untouched run ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ml_core.artifacts import Artifact, Store, sha256
from tests.unit.families.segger.tiny import as_arguments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 10
EPOCHS = 30
DATA_STAGES = ("raw", "graph", "tiles", "splits")


def command(data: Path) -> list[str]:
    small = [part for stage in DATA_STAGES for part in as_arguments(stage)]
    # the last state is saved after every window, so that a kill may fall into any step of a save
    model = as_arguments("model", max_epochs=EPOCHS, checkpoint_every_minutes=1e-9, patience=None)
    return [sys.executable, "-m", "ml_core", "run", "segger", "--until", "model", "--data", str(data), *small, *model]


def start(data: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with (data / "log.txt").open("ab") as log:
        return subprocess.Popen(command(data), env=environment, stdout=log, stderr=log, start_new_session=True)


class Poll(threading.Thread):
    """Looks at every `current` all the time: each must point at a whole artifact."""

    def __init__(self, data: Path) -> None:
        super().__init__(daemon=True)
        self.data, self.faults, self.looks, self.done = data, [], 0, threading.Event()  # type: ignore[var-annotated]
        self.verified: set[str] = set()

    def run(self) -> None:
        while not self.done.is_set():
            for link in self.data.glob("artifacts/segger/*/current"):
                self.looks += 1
                target = link.parent / os.readlink(link)
                try:
                    manifest = json.loads((target / "manifest.json").read_text())
                    assert all((target / name).is_file() for name in manifest["files"])
                    if str(target) not in self.verified:
                        assert Artifact(target).verify() == []
                        self.verified.add(str(target))
                except (OSError, ValueError, AssertionError) as error:
                    self.faults.append(f"{link}: {error!r}")
            time.sleep(0.002)


def test_ten_kills_change_nothing_but_the_time(tmp_path: Path) -> None:
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    untouched.mkdir()
    killed.mkdir()
    assert start(untouched).wait(300) == 0, (untouched / "log.txt").read_text()[-2000:]
    expected = Store(untouched).current("segger", "model")
    assert expected is not None

    poll = Poll(killed)
    poll.start()
    moments = random.Random(0)  # noqa: S311 - which moments does not matter
    landed = 0
    for _ in range(KILLS):
        process = start(killed)
        before = set(killed.glob("runs/segger/model/*/checkpoints/*"))
        while process.poll() is None and set(killed.glob("runs/segger/model/*/checkpoints/*")) == before:
            time.sleep(0.005)  # until it trains
        time.sleep(moments.uniform(0, 0.6))
        landed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait(60)
    log = (killed / "log.txt").read_text()
    assert landed >= KILLS // 2, f"only {landed} kills fell into a training; raise EPOCHS\n{log[-2000:]}"
    assert start(killed).wait(300) == 0, (killed / "log.txt").read_text()[-2000:]
    poll.done.set()
    poll.join()

    assert poll.faults == []
    assert poll.looks > 100
    found = Store(killed).current("segger", "model")
    assert found is not None
    assert found.verify() == []
    assert sha256(found.path("model.safetensors")) == sha256(expected.path("model.safetensors"))
    assert found.digest == expected.digest
    assert found.summary.numbers["train.resumed_from"] is not None
    assert "going on from" in log
    assert not list(killed.glob("artifacts/segger/*/.*.partial"))
    assert not list(killed.glob("runs/segger/model/*"))
