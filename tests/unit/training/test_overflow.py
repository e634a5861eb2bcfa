"""fp16 whose gradient is never finite: skipped a few times, then an error. A scaler on the CPU stands for the GPU's."""

import pytest
import torch

from ml_core.errors import UserError
from ml_core.training.checkpoint import load_weights
from ml_core.training.interrupt import Interrupted
from ml_core.training.precision import Precision
from ml_core.training.schedule import build_schedule
from tests.unit.training.toy import Kept, StopAtCheck, ToyTask, assert_same_training, toy_fit, toy_settings


@pytest.fixture(autouse=True)
def _scaled_on_the_cpu(monkeypatch):
    def choose(*arguments, **keywords):
        return Precision("fp16", "faked", "cpu", None, torch.amp.GradScaler("cpu", init_scale=2.0**10))

    monkeypatch.setattr("ml_core.training.machine.choose_precision", choose)


class Explodes(ToyTask):
    """In these windows, counted from 1 and again from 1 in each process, the loss is finite and its slope is not."""

    def __init__(self, windows):
        super().__init__()
        self.windows, self.calls = set(windows), 0

    def losses(self, batch, forward):
        losses = super().losses(batch, forward)
        self.calls += self.model.training
        if (self.calls + 1) // 2 in self.windows:
            weight = self.model.head.weight.flatten()[0]
            losses["class"] = losses["class"] + (weight - weight.detach()).abs().sqrt()
        return losses


def test_ten_skipped_steps_in_a_row_are_an_error_that_names_step_and_samples(tmp_path):
    class Seen(Explodes):
        def losses(self, batch, forward):
            if self.calls == 2 * 5:  # after five good windows
                self.before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
            return super().losses(batch, forward)

    task = Seen(range(6, 99))
    with pytest.raises(
        UserError,
        match=r"gradient norm is not finite at step 6 of epoch 2 for the 10th time in a row, samples \d+, \d+, \d+, "
        r"\d+; the weights are those before .* Look for NaN.* precision: bf16 or fp32",
    ):
        toy_fit(tmp_path, task=task)
    assert task.calls == 2 * 15
    (last,) = (tmp_path / "checkpoints").glob("epoch-0001-sample-000000016")  # 14 windows, 9 of them skipped
    saved = load_weights(last)
    assert all(torch.equal(before, saved[name]) for name, before in task.before.items())
    assert all(
        torch.equal(before, parameter)
        for before, (_, parameter) in zip(task.before.values(), task.model.named_parameters(), strict=True)
    )


def test_a_good_step_begins_the_count_anew_and_the_schedule_moves_by_good_steps_only(tmp_path):
    kept = Kept()
    bad = [*range(1, 10), *range(11, 20)]  # twice nine, with one good window between
    result = toy_fit(tmp_path, task=Explodes(bad), arguments={"recorder": kept})
    assert (result.state.step, result.state.skipped_steps, result.state.skipped_in_a_row) == (12, 18, 0)
    schedule = build_schedule(toy_settings(), steps=30)
    assert [row["learning_rate"] for row in kept.steps] == [schedule.at(step) for step in range(12)]


@pytest.mark.parametrize("limit", [1, 3])
def test_the_limit_is_a_setting(limit, tmp_path):
    task = Explodes(range(1, 99))
    with pytest.raises(UserError, match="not finite at step 1"):
        toy_fit(tmp_path, task=task, skip_limit=limit)
    assert task.calls == 2 * limit


def test_the_count_survives_a_resumption(tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, task=Explodes(range(1, 99)), arguments={"should_stop": StopAtCheck(7)})  # six were skipped
    task = Explodes(range(1, 99))
    with pytest.raises(UserError, match="for the 10th time in a row"):
        toy_fit(tmp_path, task=task)
    assert task.calls == 2 * 4


def test_a_run_stopped_between_skipped_steps_resumes_exactly(tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", task=Explodes(range(3, 99)), arguments={"should_stop": StopAtCheck(6)})
    resumed = toy_fit(tmp_path / "cut", task=Explodes(range(1, 4)))  # windows 6, 7 and 8 of the run
    assert_same_training(resumed.last, toy_fit(tmp_path / "whole", task=Explodes(range(3, 9))).last)


def test_a_loss_that_is_not_finite_is_no_matter_of_the_scale_and_ends_the_run_at_once(tmp_path):
    class NotANumber(ToyTask):
        def losses(self, batch, forward):
            return {name: loss * float("nan") for name, loss in super().losses(batch, forward).items()}

    with pytest.raises(UserError, match="The loss is not finite at step 1 of epoch 1, samples"):
        toy_fit(tmp_path, task=NotANumber())
