"""torchrun started by hand: one process speaks, all train, all end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from ml_core.artifacts import Store

pytestmark = pytest.mark.slow
SHELL = """
import sys
from ml_core import __main__ as shell
from tests.unit.launch.company.family import FAMILY
shell.get_family = lambda name: FAMILY
sys.exit(shell.main())
"""


def torchrun(
    folder: Path, *settings: str, where: Sequence[str] = ("--standalone", "--nproc-per-node=2")
) -> subprocess.Popen[str]:
    script = folder / "shell.py"
    script.write_text(SHELL)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ours = ["run", "company", "--data", str(folder / "data")]
    ours += [part for setting in settings for part in ("--set", f"model.{setting}")]
    command = [sys.executable, "-m", "torch.distributed.run", *where, str(script), *ours]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ranks(folder: Path) -> list[psutil.Process]:
    """Once they train."""
    until = time.monotonic() + 60
    while len(found := list(folder.glob("data/runs/company/model/*/pid-*"))) < 2 or not all(
        path.read_text() for path in found
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    return [psutil.Process(int(path.read_text())) for path in found]


def test_all_take_part_and_the_first_speaks(tmp_path: Path) -> None:
    out, error = torchrun(tmp_path).communicate(timeout=100)
    assert out.count("rank 0 prints") == out.count("2 epochs.") == 1
    assert "rank 1 prints" not in out
    assert error.count("company model: done") == 1
    artifact = Store(tmp_path / "data").current("company", "model")
    assert artifact is not None
    assert artifact.path("weights").read_text() == "2"
    again = torchrun(tmp_path)
    assert "cached" in again.communicate(timeout=100)[0]
    assert again.returncode == 0


def test_two_machines_train_together_and_only_the_first_speaks(tmp_path: Path) -> None:
    """Each with a torchrun of its own, which name each other's place in its own variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = [
            "--nnodes=2",
            "--nproc-per-node=1",
            "--master-addr=127.0.0.1",
            f"--master-port={free.getsockname()[1]}",
        ]
    machines = [torchrun(tmp_path, where=[*place, f"--node-rank={number}"]) for number in (0, 1)]
    (out, _), (silent, _) = (machine.communicate(timeout=100) for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0]
    assert out.count("rank 0 prints") == out.count("2 epochs.") == 1
    assert silent == ""
    artifact = Store(tmp_path / "data").current("company", "model")
    assert artifact is not None
    assert artifact.path("weights").read_text() == "2"


@pytest.mark.parametrize("hangs", [False, True])
def test_what_another_rank_finds_wrong_is_said_once_and_ends_all(tmp_path: Path, hangs: bool) -> None:
    process = torchrun(tmp_path, "fault=user", "fault_rank=1", "seconds_per_epoch=1", f"hangs={str(hangs).lower()}")
    found = ranks(tmp_path)
    error = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert error.count("error: Sample 7 is broken; mend it.") == 1
    assert psutil.wait_procs(found, timeout=1)[1] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_when_torchrun_is_stopped_or_killed_the_ranks_save_and_end(tmp_path: Path, number: signal.Signals) -> None:
    process = torchrun(tmp_path, "epochs=900", "seconds_per_epoch=0.2")
    found = ranks(tmp_path)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("data/runs/company/model/*/checkpoint")):  # nothing could be saved before
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    assert psutil.wait_procs(found, timeout=10)[1] == []
    error = process.communicate(timeout=60)[1]
    assert error.count("checkpoint is saved, start the same run again") == 1
