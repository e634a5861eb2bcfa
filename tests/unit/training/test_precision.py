import pytest
import torch

from ml_core.errors import UserError
from ml_core.training.interrupt import Interrupted
from ml_core.training.precision import Precision, choose_precision
from ml_core.training.schedule import build_schedule
from tests.unit.training.toy import Kept, StopAtCheck, ToyTask, assert_same_training, toy_fit, toy_settings

CPU = torch.device("cpu")


class Overflows(ToyTask):
    """Its gradient is infinite in the third window, as an fp16 gradient that was scaled too high; its loss is not."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def losses(self, batch, forward):
        losses = super().losses(batch, forward)
        self.calls += self.model.training
        if self.calls in (5, 6):
            weight = self.model.head.weight.flatten()[0]
            losses["class"] = losses["class"] + (weight - weight.detach()).abs().sqrt()
        return losses


@pytest.fixture
def _scaled_on_the_cpu(monkeypatch):
    """fp16's gradient scaler with fp32 arithmetic, which needs no GPU."""

    def choose(*arguments, **keywords):
        return Precision(
            "fp16", "faked", "cpu", None, torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=4)
        )

    monkeypatch.setattr("ml_core.training.machine.choose_precision", choose)


@pytest.mark.usefixtures("_scaled_on_the_cpu")
def test_the_schedule_does_not_move_on_a_step_that_fp16_skipped(tmp_path):
    kept = Kept()
    result = toy_fit(tmp_path, task=Overflows(), arguments={"recorder": kept})
    assert (result.state.step, result.state.skipped_steps, result.state.samples) == (29, 1, 120)
    schedule = build_schedule(toy_settings(), steps=30)
    assert [row["step"] for row in kept.steps] == list(range(1, 30))
    assert [row["learning_rate"] for row in kept.steps] == [schedule.at(step) for step in range(29)]


@pytest.mark.usefixtures("_scaled_on_the_cpu")
def test_a_skipped_step_changes_no_weight_and_halves_the_scale(tmp_path):
    task = Overflows()
    for stop in (3, 2):  # after the second window, then after the skipped third
        task.calls = 0 if stop == 3 else 4
        with pytest.raises(Interrupted) as caught:
            toy_fit(tmp_path, task=task, arguments={"should_stop": StopAtCheck(stop)})
        if stop == 3:
            before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
    assert all(torch.equal(before[name], parameter) for name, parameter in task.model.named_parameters())
    saved = torch.load(caught.value.checkpoint / "training.pt", weights_only=True)
    assert saved["scaler"]["scale"] == 2.0**9


@pytest.mark.usefixtures("_scaled_on_the_cpu")
def test_the_scaler_resumes_exactly(tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", task=Overflows(), arguments={"should_stop": StopAtCheck(7)})
    assert_same_training(toy_fit(tmp_path / "cut").last, toy_fit(tmp_path / "whole", task=Overflows()).last)


def test_without_a_scaler_the_same_gradient_is_an_error(tmp_path):
    with pytest.raises(UserError, match="gradient norm is not finite at step 3"):
        toy_fit(tmp_path, task=Overflows())


def test_auto_is_fp32_on_a_cpu_unless_the_task_declares_that_bf16_agrees(monkeypatch):
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", CPU, bf16_agrees_on_cpu=False).name == "fp32"
    assert choose_precision("auto", CPU, bf16_agrees_on_cpu=True).name == "bf16"
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    chosen = choose_precision("auto", CPU, bf16_agrees_on_cpu=True)
    assert (chosen.name, chosen.reason) == ("fp32", "this CPU has no bf16 arithmetic")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_cuda_is_bf16_where_the_gpu_has_it_and_scaled_fp16_elsewhere(has_bf16, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: has_bf16)
    monkeypatch.setattr("torch.amp.GradScaler", lambda kind: f"scaler for {kind}")
    chosen = choose_precision("auto", torch.device("cuda"), bf16_agrees_on_cpu=False)
    assert chosen.name == expected
    assert (chosen.scaler is None) is has_bf16


def test_fp16_without_cuda_is_refused():
    with pytest.raises(UserError, match="needs CUDA and the device is cpu"):
        choose_precision("fp16", CPU, bf16_agrees_on_cpu=True)
