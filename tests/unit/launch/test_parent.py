"""Real processes: what comes of a training in several of them, and that none is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ml_core.artifacts import Store
from ml_core.errors import UserError
from ml_core.running import Outcome, run_stage
from tests.unit.launch.company.family import FAMILY
from tests.unit.launch.company.settings import ModelSettings

STAGE = FAMILY["model"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store; soon after the test no process has to do with it: a rank that let go of its folder may still exit."""
    yield Store(tmp_path / "data")
    until = time.monotonic() + 5
    while (left := processes(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


def processes(folder: Path) -> list[str]:
    """Command lines that name the folder, of processes that live."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            found.append(line)
    return found


def run(store: Store, **settings: object) -> Outcome:
    return run_stage(FAMILY, STAGE, settings=ModelSettings(**settings), store=store)


def work(store: Store) -> Path:
    """The directory in which the training goes on."""
    (found,) = (store.data / "runs" / "company" / "model").iterdir()
    return found


def wait_for(store: Store, name: str, *, seconds: float = 60) -> Path:
    until = time.monotonic() + seconds
    while not (found := list((store.data / "runs" / "company" / "model").glob(f"*/{name}"))):
        assert time.monotonic() < until, f"no {name} within {seconds} s"
        time.sleep(0.05)
    return found[0]


def test_two_processes_make_one_artifact_and_only_the_first_prints(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact = run(store).artifact
    assert artifact.path("weights").read_text() == "2"
    assert artifact.verify() == []
    assert artifact.summary.headline == "2 epochs."
    assert artifact.manifest["device"] == "2 processes"
    assert artifact.manifest["cpu_seconds"] > 1  # three processes that import torch; this one only waits
    captured = capfd.readouterr()
    assert captured.out == "rank 0 prints\n"
    assert re.fullmatch(r"\d\d:\d\d:\d\d company trains on rank 0\n", captured.err)
    assert run(store, nproc=3).cached


@pytest.mark.slow
def test_what_one_rank_finds_wrong_is_raised_within_ten_seconds_although_the_other_hangs(store: Store) -> None:
    with pytest.raises(UserError, match=r"^Sample 7 is broken; mend it\.$"):
        run(store, fault="user", fault_rank=1, hangs=True)
    assert time.time() - float((work(store) / "failed_at").read_text()) < 10
    assert list(work(store).glob("processes-*")) == []


PARENT = """
import sys
from pathlib import Path
from ml_core.training.interrupt import Interrupted
from ml_core.artifacts import Store
from tests.unit.launch.test_parent import run
try:
    run(Store(Path(sys.argv[1])), epochs=900, seconds_per_epoch=0.2)
except Interrupted as stopped:
    print(stopped)
    sys.exit(3)
"""


def parent(store: Store) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARENT, str(store.data)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_saves_and_ends_all_and_the_next_run_goes_on(store: Store) -> None:
    child = parent(store)
    wait_for(store, "checkpoint")
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, error = child.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert child.returncode == 3, error
    assert "stopped by SIGINT" in out
    assert f"{work(store)}/checkpoint is saved, start the same run again" in out
    assert "Traceback" not in error
    assert processes(store.data) == []


@pytest.mark.slow
def test_ranks_whose_parent_was_killed_save_and_end(store: Store) -> None:
    child = parent(store)
    saved = wait_for(store, "checkpoint")
    ranks = [psutil.Process(int((saved.parent / f"pid-{rank}").read_text())) for rank in (0, 1)]
    child.kill()
    began = time.monotonic()  # the parent stays a zombie meanwhile: a look at its pid would find it alive
    assert psutil.wait_procs(ranks, timeout=20)[1] == []
    assert time.monotonic() - began < 10
    child.communicate()


@pytest.mark.slow
def test_a_fault_of_the_first_rank_comes_with_its_traceback(store: Store) -> None:
    with pytest.raises(RuntimeError, match=r"rank 0 .*planted") as caught:
        run(store, fault="fault", fault_rank=0)
    assert "in plant" in str(caught.value)
    assert "closed by peer" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
def test_a_rank_that_is_killed_is_named_and_the_others_end_within_ten_seconds(store: Store, hangs: bool) -> None:
    with pytest.raises(RuntimeError, match="Process 2 of 2 was ended by SIGKILL while training"):
        run(store, fault="killed", fault_rank=1, hangs=hangs, seconds_per_epoch=0.1)
    assert time.time() - float((work(store) / "failed_at").read_text()) < 10


@pytest.mark.slow
def test_ranks_whose_torchrun_was_killed_save_before_the_parent_goes_on(store: Store) -> None:
    child = parent(store)
    wait_for(store, "checkpoint")
    (agent,) = [each for each in psutil.Process(child.pid).children() if "ml_core.launch.agent" in each.cmdline()]
    agent.kill()
    out, error = child.communicate(timeout=60)
    assert child.returncode == 3, error
    assert "checkpoint is saved" in out


@pytest.mark.slow
def test_an_interrupted_training_goes_on_in_another_number_of_processes(store: Store) -> None:
    child = parent(store)
    saved = wait_for(store, "checkpoint")
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    seen = int(saved.read_text())
    outcome = run(store, epochs=900, nproc=3)
    assert outcome.artifact.summary.numbers["train.started_after_epoch"] == seen
    assert outcome.artifact.path("weights").read_text() == "3"
