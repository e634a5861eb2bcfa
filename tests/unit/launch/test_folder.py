from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ml_core.errors import UserError
from ml_core.launch.folder import FirstError, alive, is_alive, new_folder, read_first_error, record_error
from ml_core.training.interrupt import Interrupted

KILLED = """
import os, sys
from pathlib import Path
from ml_core.launch.folder import alive
with alive(Path(sys.argv[1])):
    print("alive", flush=True)
    sys.stdin.readline()
    os._exit(9)
"""


def test_only_the_first_error_is_kept(tmp_path: Path) -> None:
    record_error(tmp_path, UserError("Mend it."), rank=1)
    record_error(tmp_path, RuntimeError("Connection closed by peer"), rank=0)
    first = read_first_error(tmp_path)
    assert first is not None
    assert (first.rank, first.kind, first.message) == (1, "user", "Mend it.")


def planted() -> None:
    raise RuntimeError("planted")


def test_an_error_comes_back_as_what_it_was(tmp_path: Path) -> None:
    saved = tmp_path / "checkpoints" / "epoch-0001"
    with pytest.raises(RuntimeError) as fault:
        planted()
    errors: list[BaseException] = [
        UserError("Mend it."),
        Interrupted("SIGINT", saved),
        Interrupted("SIGTERM", None),
        KeyboardInterrupt(),
        fault.value,
    ]
    for number, error in enumerate(errors):
        folder = tmp_path / str(number)
        folder.mkdir()
        record_error(folder, error, rank=2)
        first = read_first_error(folder)
        assert isinstance(first, FirstError)
        back = first.exception()
        assert type(back) is type(error)
        assert str(error) in str(back)
        assert getattr(back, "checkpoint", None) == getattr(error, "checkpoint", None)
    assert "in planted" in str(back)


def test_an_error_after_the_parent_has_gone_is_nobodys(tmp_path: Path) -> None:
    assert record_error(tmp_path / "swept", UserError("Mend it."), rank=0) is None


def test_a_process_is_alive_until_it_ends_even_as_a_zombie(tmp_path: Path) -> None:
    lock = tmp_path / "rank-0.lock"
    assert not is_alive(lock)
    command = [sys.executable, "-c", KILLED, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "alive\n"
        assert is_alive(lock)
        process.stdin.close()
        process.stdout.read()  # until its end; nobody has waited for it
        assert not is_alive(lock)
        assert lock.exists()


def test_an_orderly_end_leaves_no_lock(tmp_path: Path) -> None:
    with alive(tmp_path / "rank-0.lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_sweeps_what_a_killed_run_left(tmp_path: Path) -> None:
    left = new_folder(tmp_path)
    (left / "rank-0.lock").touch()
    assert list(tmp_path.glob("processes-*")) == [left]
    new = new_folder(tmp_path)
    assert list(tmp_path.glob("processes-*")) == [new]
    assert list(new.iterdir()) == []
