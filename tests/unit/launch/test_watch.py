from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from ml_core.launch.folder import FIRST_ERROR, PARENT_LIVES, alive

WATCHED = """
    import signal, sys, time
    from pathlib import Path
    from ml_core.launch import watch
    from ml_core.launch.folder import alive, rank_lock
    watch.SECONDS_BETWEEN_LOOKS, watch.SECONDS_AFTER_FAILURE, watch.SECONDS_TO_SAVE_AS_ORPHAN = 0.02, 0.2, 0.4
    folder, answers = Path(sys.argv[1]), sys.argv[2] == "answers"
    signal.signal(signal.SIGTERM, signal.SIG_DFL if answers else signal.SIG_IGN)
    last_words = lambda: print("last words", flush=True)
    with alive(rank_lock(folder, 0)), watch.WatchFolder(folder, rank=0, last_words=last_words):
        print("watches", flush=True)
        time.sleep(float(sys.argv[3]))
"""


STOPPED = """
    import contextlib, signal, sys, time
    from pathlib import Path
    from ml_core.launch import watch
    from ml_core.launch.folder import alive, rank_lock
    from ml_core.training.interrupt import Interrupted, StopRequest
    watch.SECONDS_BETWEEN_LOOKS = 0.02
    with alive(rank_lock(Path(sys.argv[1]), 0)), contextlib.suppress(Interrupted):
        with StopRequest(None):
            raise Interrupted("another rank", None)
    with watch.WatchFolder(Path(sys.argv[1]), rank=0):  # whose parent is gone
        time.sleep(0.5)
        print("what was saved", flush=True)
"""


def test_a_training_that_stops_already_is_not_asked_again_and_has_its_say(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(STOPPED), str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (0, "what was saved\n")


@pytest.mark.parametrize(
    ("event", "answers", "code", "said"),
    [
        pytest.param("nothing", "answers", 0, "", id="all-is-well"),
        pytest.param("error", "answers", 1, "last words\n", id="another-rank-failed"),
        pytest.param("death", "answers", 1, "last words\n", id="another-rank-died"),
        pytest.param("parent", "answers", -signal.SIGTERM, "", id="the-parent-is-gone"),
        pytest.param("parent", "hangs", 1, "last words\n", id="the-parent-is-gone-and-this-one-hangs"),
    ],
)
def test_a_rank_ends_when_it_is_of_no_more_use(tmp_path: Path, event: str, answers: str, code: int, said: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WATCHED), str(tmp_path), answers]
    command.append("0.5" if event == "nothing" else "60")
    with alive(tmp_path / PARENT_LIVES) if event != "parent" else nullcontext():
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "watches\n"
        if event == "error":
            (tmp_path / FIRST_ERROR).touch()
        elif event == "death":
            (tmp_path / "rank-1.lock").touch()  # and nobody holds it
        assert process.communicate(timeout=20)[0] == said
        assert process.returncode == code
        assert time.monotonic() - began < 20
