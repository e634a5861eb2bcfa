import os

import pytest
import torch

from ml_core.errors import UserError
from ml_core.training.interrupt import Interrupted
from tests.unit.training.toy import StopAtCheck, ToySamples, ToyTask, assert_same_training, exit_code_of, toy_fit


def stop(directory, at, **changes):
    with pytest.raises(Interrupted):
        toy_fit(directory, arguments={"should_stop": StopAtCheck(at)}, **changes)


def contents(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_the_sixth_resumption_without_a_finished_epoch_is_refused_and_overwrites_nothing(tmp_path):
    stop(tmp_path, 3)
    for _ in range(5):
        stop(tmp_path, 2)
    before = contents(tmp_path)
    with pytest.raises(
        UserError, match=r"resumed 5 times.*epoch-0000-sample-000000028 is untouched.*resume_limit"
    ) as error:
        toy_fit(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert contents(tmp_path) == before
    assert toy_fit(tmp_path, resume_limit=6).stop_reason == "max_epochs"


def test_a_finished_epoch_gives_all_resumptions_back(tmp_path):
    stop(tmp_path, 3)
    for _ in range(12):  # 12 resumptions, but an epoch is finished after each fourth at the latest
        stop(tmp_path, 5)
        if len(list((tmp_path / "checkpoints").glob("epoch-0002*"))):
            break
    assert toy_fit(tmp_path).stop_reason == "max_epochs"


def test_a_run_that_dies_at_once_is_counted_too(tmp_path):
    stop(tmp_path, 3)
    for _ in range(2):
        assert exit_code_of(lambda: toy_fit(tmp_path, train=Dies())) == 9
    with pytest.raises(UserError, match="resumed 2 times"):
        toy_fit(tmp_path, resume_limit=2)


class Dies(ToySamples):
    """Ends the process before its first window."""

    def fetch(self, indices, *, seed, epoch):
        os._exit(9)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"batch_size": 4}, "batch_size: 2 -> 4"),
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"max_epochs": 2}, "max_epochs: 3 -> 2"),
        ({"train": ToySamples(44)}, "training samples: 40 -> 44"),
        ({"arguments": {"fingerprint": {"data": "b"}}}, "fingerprint data: a -> b"),
        ({"task": ToyTask(norm=False)}, r"model encoder.1.weight: \[8\] torch.float32 -> \(absent\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_going_on_with_something_else_is_refused_with_the_differences(changes, difference, tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, arguments={"should_stop": StopAtCheck(4), "fingerprint": {"data": "a"}})
    before = contents(tmp_path)
    with pytest.raises(UserError, match=difference):
        toy_fit(tmp_path, **{"arguments": {"fingerprint": {"data": "a"}}, **changes})
    assert contents(tmp_path) == before


def test_every_difference_is_listed(tmp_path):
    stop(tmp_path, 4)
    with pytest.raises(UserError, match=r"batch_size: 2 -> 1; learning_rate: 0\.02 -> 0\.5; seed: 0 -> 3"):
        toy_fit(tmp_path, seed=3, batch_size=1, learning_rate=0.5)


def test_settings_that_do_not_change_the_result_may_change(tmp_path):
    stop(tmp_path / "cut", 4)
    changes = {"num_workers": 1, "keep_top": 0, "log_every_steps": 3, "checkpoint_every_minutes": 1e-9}
    assert_same_training(toy_fit(tmp_path / "cut", **changes).last, toy_fit(tmp_path / "whole").last)


def test_more_epochs_go_on_at_the_last_learning_rate(tmp_path):
    first = toy_fit(tmp_path)
    more = toy_fit(tmp_path, max_epochs=5)
    assert (more.state.epoch, more.state.schedule_epochs, more.stop_reason) == (5, 3, "max_epochs")
    assert more.resumed_from == first.last
    assert [row["learning_rate"] for row in more.history[2:]] == pytest.approx([1e-6] * 3)
    assert [row["train_loss"] for row in more.history[:3]] == [row["train_loss"] for row in first.history]


def test_a_new_run_seeds_the_generators_itself(tmp_path):
    torch.manual_seed(1)
    first = toy_fit(tmp_path / "first", task=ToyTask(), arguments=None)
    task = ToyTask()
    torch.manual_seed(2)
    assert_same_training(first.last, toy_fit(tmp_path / "second", task=task).last)
