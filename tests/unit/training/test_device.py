import os
import re

import pytest
import torch

from ml_core.errors import UserError
from ml_core.training import device as machine
from ml_core.training.device import choose_device, memory_gb, prepare_process
from tests.unit.training.toy import ToyTask, toy_fit, toy_settings

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def pretend(monkeypatch, *, cuda, mps):
    """Problems of the two accelerators; None means that it works."""
    problems = {"cuda": cuda, "mps": mps}
    monkeypatch.setattr("ml_core.training.device._problem", lambda name: problems[name])


@pytest.mark.parametrize(
    ("cuda", "mps", "device", "reason"),
    [
        (None, None, "cuda", "cuda is the first that works"),
        ("is not available", None, "mps", "mps is the first that works"),
        (
            "failed at a first product (no kernel image)",
            "is not available",
            "cpu",
            "no kernel image.*mps is not available",
        ),
    ],
)
def test_auto_takes_cuda_then_mps_then_the_cpu_and_says_why(cuda, mps, device, reason, monkeypatch):
    pretend(monkeypatch, cuda=cuda, mps=mps)
    chosen, why = choose_device("auto")
    assert chosen.type == device
    assert re.search(reason, why)


def test_a_requested_device_that_is_not_there_is_refused(monkeypatch):
    pretend(monkeypatch, cuda="is not available", mps=None)
    with pytest.raises(UserError, match="device is 'cuda', but cuda is not available; use device: auto"):
        choose_device("cuda")
    assert choose_device("mps") == (torch.device("mps"), "mps was requested")
    assert choose_device("cpu")[0] == torch.device("cpu")


def test_an_accelerator_that_fails_at_its_first_product_is_passed_over(monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("CUDA error: no kernel image is available\nmore lines")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("torch.ones", fail)
    device, reason = choose_device("auto")
    assert device.type == "cpu"
    assert reason.startswith("cuda failed at a first product (CUDA error: no kernel image is available)")


def test_an_accelerator_that_fails_in_mid_run_does_not_fall_back(tmp_path):
    class Fails(ToyTask):
        def losses(self, batch, forward):
            raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        toy_fit(tmp_path, task=Fails())


def test_threads_and_determinism_are_set_for_the_process():
    before = torch.are_deterministic_algorithms_enabled()
    try:
        prepare_process(toy_settings(threads=1, deterministic=True))
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(before)


def test_memory_of_the_process_is_plausible():
    assert 0.05 < memory_gb(torch.device("cpu")) < 100


@pytest.mark.skipif(not machine.CLEAR_PEAK.exists(), reason="only Linux lets a process forget its peak")
def test_the_highest_memory_can_begin_anew():
    cpu = torch.device("cpu")
    before = torch.ones(50_000_000).nbytes / 1e9  # 0.2 GB, freed at once
    high = memory_gb(cpu)
    machine.reset_peak_memory(cpu)
    assert memory_gb(cpu) < high - before / 2


@pytest.mark.parametrize(("limit", "expected"), [("max", None), ("3000000000", 3.0), ("9223372036854771712", None)])
def test_a_containers_limit_counts_where_there_is_one(limit, expected, tmp_path, monkeypatch):
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    monkeypatch.setattr(machine, "CONTAINER_LIMIT", tmp_path / "memory.max")
    assert machine.available_memory_gb(torch.device("cpu")) == physical
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert machine.available_memory_gb(torch.device("cpu")) == (expected or physical)


def test_the_result_names_the_device_that_was_used(tmp_path):
    result = toy_fit(tmp_path, max_epochs=1)
    assert (result.device, result.device_reason, result.precision) == ("cpu", "cpu was requested", "fp32")
    assert result.cpu_seconds > 0
    assert result.seconds == result.state.seconds > 0


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_run_on_cuda_resumes_exactly(precision, tmp_path):
    from tests.unit.training.test_trainer import run_in_pieces
    from tests.unit.training.toy import assert_same_training

    changes = {"device": "cuda", "precision": precision, "num_workers": 2, "deterministic": False}
    whole, rows = run_in_pieces(tmp_path / "whole", [], **changes)
    cut, cut_rows = run_in_pieces(tmp_path / "cut", [5, 12, 9], **changes)
    assert whole.device == "cuda"
    assert_same_training(cut.last, whole.last)
    assert cut_rows.steps == rows.steps
