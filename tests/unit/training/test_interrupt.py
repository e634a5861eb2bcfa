"""Signals to real processes, and stop requests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ml_core.training import interrupt
from ml_core.training.interrupt import Interrupted, StopRequest
from ml_core.training.recorder import Recorder
from tests.unit.training.toy import StopAtCheck, ToySamples, assert_same_training, toy_fit


class SlowSamples(ToySamples):
    """Slow enough for a signal to arrive within an epoch."""

    def fetch(self, indices, *, seed, epoch):
        time.sleep(0.02)
        return super().fetch(indices, seed=seed, epoch=epoch)


def train_until_stopped(directory, workers):
    """What the child process runs: exit code 3 if it was interrupted in good order."""
    try:
        toy_fit(Path(directory), train=SlowSamples(), num_workers=int(workers), checkpoint_every_minutes=1e-4)
    except Interrupted as interrupted:
        sys.exit(3 if interrupted.checkpoint is not None else 4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return toy_fit(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("number", "workers", "to_group"),
    [
        pytest.param(signal.SIGINT, 0, False, id="ctrl-c"),
        pytest.param(signal.SIGINT, 2, True, id="ctrl-c-in-a-terminal-with-workers"),
        pytest.param(signal.SIGTERM, 0, False, id="sigterm"),
        pytest.param(signal.SIGTERM, 2, True, id="sigterm-to-the-job-with-workers"),
        pytest.param(signal.SIGKILL, 0, False, id="kill-9"),
    ],
)
def test_a_signal_ends_the_process_within_ten_seconds_and_the_next_run_goes_on_exactly(
    number, workers, to_group, whole, tmp_path
):
    script = "import sys; from tests.unit.training.test_interrupt import train_until_stopped as t; t(*sys.argv[1:])"
    child = subprocess.Popen([sys.executable, "-c", script, tmp_path, str(workers)], start_new_session=True)
    steps = tmp_path / "logs/steps.csv"
    wait_for(lambda: steps.exists() and len(steps.read_text().splitlines()) > 4, child)
    wait_for(lambda: (tmp_path / "checkpoints/index.json").exists() or number != signal.SIGKILL, child)

    began = time.monotonic()
    (os.killpg if to_group else os.kill)(child.pid, number)
    code = child.wait(timeout=10)
    assert time.monotonic() - began < 10
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 3)
    index = json.loads((tmp_path / "checkpoints/index.json").read_text())
    assert index["last"] in os.listdir(tmp_path / "checkpoints")

    resumed = toy_fit(tmp_path)
    assert resumed.resumed_from.name == index["last"]
    assert_same_training(resumed.last, whole.last)


def wait_for(condition, child):
    deadline = time.monotonic() + 40
    while not condition():
        assert child.poll() is None, "the child ended before it was stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stop_request_saves_the_state_and_says_how_to_go_on(tmp_path):
    with pytest.raises(Interrupted, match=r"stopped by the caller.*start the same run again") as caught:
        toy_fit(tmp_path, arguments={"should_stop": StopAtCheck(4)})
    assert caught.value.checkpoint == tmp_path / "checkpoints/epoch-0000-sample-000000012"


def test_a_stop_before_the_first_window_saves_nothing(tmp_path):
    with pytest.raises(Interrupted, match="nothing was done yet") as caught:
        toy_fit(tmp_path, arguments={"should_stop": lambda: True})
    assert caught.value.checkpoint is None


def test_handlers_are_put_back_afterwards(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    toy_fit(tmp_path, max_epochs=1)
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, max_epochs=2, arguments={"should_stop": StopAtCheck(3)})
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_first_signal_only_asks_its_repetition_is_the_same_and_a_later_one_stops_at_once(monkeypatch):
    now = 100.0
    monkeypatch.setattr(interrupt.time, "monotonic", lambda: now)
    with StopRequest(None) as stop:
        assert stop.asked() is None
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked() == "SIGINT"
        now += 1.9
        try:
            signal.raise_signal(signal.SIGTERM)  # the same Ctrl-C, passed on by a launcher
        except KeyboardInterrupt:  # which would end pytest, and not be a failure of this test
            pytest.fail("the repetition of the first signal stopped at once")
        now += 0.2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_training_works_outside_the_main_thread(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(toy_fit(tmp_path, max_epochs=1)))
    thread.start()
    thread.join()
    assert results[0].stop_reason == "max_epochs"


def test_a_stop_in_the_last_window_is_answered_although_the_run_is_done(tmp_path):
    class AtTheEnd(Recorder):
        asked = False

        def epoch(self, row):
            self.asked = row["epoch"] == 2

    recorder = AtTheEnd()
    arguments = {"should_stop": lambda: recorder.asked, "recorder": recorder}
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, max_epochs=2, arguments=arguments)
    assert toy_fit(tmp_path, max_epochs=2).stop_reason == "max_epochs"
