"""Out of memory: recognised, advised on, and survived by halving."""

import logging
import math
import os

import numpy as np
import pytest
import torch

from ml_core.errors import UserError
from ml_core.training import device as devices
from ml_core.training.interrupt import Interrupted
from ml_core.training.memory import advice, empty_cache, is_out_of_memory, shortage_in, smaller_batch
from tests.unit.training.toy import Kept, StopAtCheck, ToyTask, assert_same_training, toy_fit, toy_settings

CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of")


def real_error(function):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the library raises
        function()
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        CUDA,
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] . DefaultCPUAllocator: not enough memory: you tried to"),
        real_error(lambda: torch.empty(10**16)),
        real_error(lambda: np.empty(10**16)),
        MemoryError(),
    ],
    ids=lambda error: f"{type(error).__name__}: {str(error)[:40]}",
)
def test_texts_of_every_device_are_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("shapes cannot be multiplied"),
        ValueError("out of memory"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)


def test_the_error_comes_without_the_frames_that_hold_the_tensors():
    def work():
        raise CUDA

    shortage = shortage_in(work)
    assert shortage is CUDA
    assert shortage.__traceback__ is None
    assert shortage_in(lambda: None) is None
    with pytest.raises(RuntimeError, match="other"):
        shortage_in(lambda: (_ for _ in ()).throw(RuntimeError("other")))


# ---- advice


def advised(error=CUDA, *, device="cuda", samples=8, precision="fp32", can_recompute=True, **changes):
    settings = toy_settings(**{"batch_size": 8, "accumulate_batches": 1, **changes})
    return advice(
        error,
        settings,
        where="step 3 of epoch 1",
        samples=samples,
        device=torch.device(device),
        precision=precision,
        can_recompute=can_recompute,
    )


def test_the_advice_names_this_runs_own_settings_in_one_sentence():
    assert advised() == (
        "step 3 of epoch 1: out of memory on cuda with 8 samples per forward pass (CUDA out of memory. Tried to "
        "allocate 2.00 GiB.); go on with this run with gradient_checkpointing: true or on_oom: split or "
        "expandable_segments: true, or begin a new run with batch_size: 4 and accumulate_batches: 2 (now 8 and 1; an "
        "optimizer step still sees 8 samples) or precision: bf16."
    )


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"gradient_checkpointing": True}, "gradient_checkpointing"),
        ({"can_recompute": False}, "gradient_checkpointing"),
        ({"on_oom": "split"}, "on_oom"),
        ({"expandable_segments": True}, "expandable_segments"),
        ({"device": "cpu"}, "expandable_segments"),
        ({"precision": "bf16"}, "precision"),
        ({"samples": 1}, "batch_size"),
    ],
    ids=str,
)
def test_the_advice_leaves_out_what_is_on_already_or_cannot_help(change, absent):
    assert f"{absent}:" in advised()
    assert f"{absent}:" not in advised(**change)


def test_where_no_setting_is_left_the_advice_says_so():
    text = advised(device="cpu", samples=1, precision="bf16", can_recompute=False)
    assert text.endswith("take a smaller model, smaller samples or a device with more memory.")


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "expected"),
    [(8, 1, (4, 2)), (8, 3, (4, 6)), (5, 1, (1, 5)), (7, 3, (3, 7)), (1, 4, None)],
)
def test_a_smaller_batch_keeps_the_optimizer_step(batch_size, accumulate, expected):
    assert smaller_batch(toy_settings(batch_size=batch_size, accumulate_batches=accumulate)) == expected


# ---- in a run


class Hungry(ToyTask):
    """Has no memory for more than `limit` samples, which it notices after the forward pass, from call `after` on."""

    def __init__(self, limit, *, after=0, in_validation=False):
        super().__init__(dropout=0.0, norm=False)
        self.limit, self.after, self.in_validation, self.sizes = limit, after, in_validation, []

    def losses(self, batch, forward):
        losses = super().losses(batch, forward)
        if self.model.training:
            self.sizes.append(len(batch["classes"]))
        here = self.model.training != self.in_validation
        if here and len(self.sizes) > self.after and len(batch["classes"]) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return losses


def run(directory, task, *, recorder=None, stop=None, **changes):
    changes = {"batch_size": 8, "accumulate_batches": 2, "max_epochs": 2, **changes}
    return toy_fit(directory, task=task, arguments={"recorder": recorder, "should_stop": stop}, **changes)


def test_stop_ends_with_advice_and_the_last_completed_window(tmp_path):
    with pytest.raises(
        UserError,
        match=r"step 2 of epoch 1: out of memory on cpu with 8 samples.*batch_size: 4 and accumulate_batches: 4",
    ) as caught:
        run(tmp_path, Hungry(4, after=3))
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    assert [path.name for path in (tmp_path / "checkpoints").glob("epoch-*")] == ["epoch-0000-sample-000000016"]
    assert run(tmp_path, Hungry(4), on_oom="split").stop_reason == "max_epochs"  # as the advice says


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_halved_equals_one_that_had_the_memory(workers, tmp_path, caplog):
    rows = {}
    tasks = {"plenty": Hungry(99), "short": Hungry(2, after=3)}
    for name, task in tasks.items():
        rows[name] = Kept()
        with caplog.at_level(logging.WARNING, "ml_core.training"):
            result = run(tmp_path / name, task, recorder=rows[name], on_oom="split", num_workers=workers)
    assert tasks["short"].sizes[:6] == [8, 8, 8, 8, 4, 2]  # a good window; 8 fails, 4 fails, 2 is left
    assert set(tasks["short"].sizes[5:]) == {2}
    assert result.state.forward_size == 2
    for name, tensor in tasks["plenty"].model.state_dict().items():
        torch.testing.assert_close(tasks["short"].model.state_dict()[name], tensor, rtol=1e-6, atol=1e-6)
    for short, plenty in zip(rows["short"].steps, rows["plenty"].steps, strict=True):
        assert short == pytest.approx(plenty, rel=1e-5)
    warnings = [record.getMessage() for record in caplog.records if "out of memory" in record.getMessage()]
    assert len(warnings) == 2  # once for each halving
    assert "a forward pass has 4 samples from now on, not 8" in warnings[0]


def test_a_window_that_ran_out_leaves_no_trace_in_dropout_batch_norm_or_gradients(tmp_path):
    """Memory runs out once, after five windows: the rest equals a run that was stopped there and went on halved."""

    class Once(ToyTask):
        calls = 0

        def losses(self, batch, forward):
            losses = super().losses(batch, forward)
            self.calls += self.model.training
            if self.calls == 6:
                self.calls += 1
                sum(losses.values()).backward()
                raise MemoryError
            return losses

    changes = {"batch_size": 4, "accumulate_batches": 1, "on_oom": "split"}
    task = Once()
    failed = toy_fit(tmp_path / "failed", task=task, **changes)
    assert (failed.state.forward_size, task.calls) == (2, 5 + 2 + 2 * 25)
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "halved", arguments={"should_stop": StopAtCheck(6)}, **changes)
    state = tmp_path / "halved/checkpoints/epoch-0000-sample-000000020/state.json"
    state.write_text(state.read_text().replace('"forward_size": null', '"forward_size": 2'))
    assert_same_training(failed.last, toy_fit(tmp_path / "halved", **changes).last)


def test_the_halved_size_survives_a_resumption(tmp_path):
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", Hungry(2), on_oom="split", stop=StopAtCheck(6))
    task = Hungry(2)
    resumed = run(tmp_path / "cut", task, on_oom="split")
    assert set(task.sizes) == {2}
    assert_same_training(resumed.last, run(tmp_path / "whole", Hungry(2), on_oom="split").last)


def test_one_sample_per_forward_pass_cannot_be_halved(tmp_path):
    task = Hungry(0)
    with pytest.raises(
        UserError, match=r"with 1 samples per forward pass .* begin a new run with precision: bf16"
    ) as caught:
        run(tmp_path, task, on_oom="split")
    assert "batch_size" not in str(caught.value)
    assert task.sizes == [8, 4, 2, 1]


@pytest.mark.parametrize("on_oom", ["stop", "split"])
def test_validation_that_runs_out_gives_the_advice(on_oom, tmp_path):
    with pytest.raises(
        UserError, match=r"validation after epoch 1: out of memory on cpu with 8 samples.*batch_size: 4"
    ):
        run(tmp_path, Hungry(4, in_validation=True), on_oom=on_oom)


def test_memory_that_runs_out_while_the_weights_move_is_never_retried(tmp_path, monkeypatch):
    class Torn(torch.optim.AdamW):
        def step(self, closure=None):
            raise CUDA

    monkeypatch.setattr("torch.optim.AdamW", Torn)
    task = Hungry(99)
    with pytest.raises(UserError, match="step 1 of epoch 1: out of memory"):
        run(tmp_path, task, on_oom="split")
    assert len(task.sizes) == 2


# ---- the accelerator's memory


def test_the_cache_is_emptied_as_often_as_asked_for(tmp_path, monkeypatch):
    emptied = []
    monkeypatch.setattr("ml_core.training.trainer.empty_cache", emptied.append)
    result = toy_fit(tmp_path, clear_cache_every_steps=7)
    assert len(emptied) == math.floor(result.state.step / 7) == 4


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_the_cache_of_each_accelerator_is_emptied_and_a_cpu_has_none(kind, monkeypatch):
    called = []
    for name in ("cuda", "mps"):
        monkeypatch.setattr(f"torch.{name}.empty_cache", lambda name=name: called.append(name))
    empty_cache(torch.device(kind))
    empty_cache(torch.device("cpu"))
    assert called == [kind]


@pytest.mark.parametrize("present", ["", "max_split_size_mb:64", "expandable_segments:True"])
def test_expandable_segments_are_set_before_cuda_is_used_and_keep_other_options(present, monkeypatch):
    monkeypatch.setenv(devices.CUDA_OPTIONS, present)
    for _ in range(2):
        devices.prepare_process(toy_settings(expandable_segments=True))
    expected = "max_split_size_mb:64,expandable_segments:True" if "max" in present else "expandable_segments:True"
    assert os.environ[devices.CUDA_OPTIONS] == expected


def test_expandable_segments_warn_when_they_come_too_late(monkeypatch, caplog):
    monkeypatch.setenv(devices.CUDA_OPTIONS, "")
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    devices.prepare_process(toy_settings(expandable_segments=True))
    assert "expandable_segments has no effect" in caplog.text
    assert os.environ[devices.CUDA_OPTIONS] == ""


def test_the_kept_allocator_sets_glibcs_two_thresholds_and_warns_without_glibc(monkeypatch, caplog):
    calls = []

    class Library:
        @staticmethod
        def mallopt(option, value):
            calls.append((option, value))
            return 1

    monkeypatch.setattr("ctypes.CDLL", lambda name: Library)
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("sys.platform", "linux")
    devices.prepare_process(toy_settings(allocator="keep"))
    assert calls == [(-4, 0), (-1, 2**31 - 1)]
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))  # musl
    devices.prepare_process(toy_settings(allocator="keep"))
    assert len(calls) == 2
    assert "allocator: keep has no effect" in caplog.text
