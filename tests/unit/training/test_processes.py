"""Two ranks are one process in two places: same losses, same schedule, same metrics, same stops, same errors."""

import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ml_core.training import processes as processes_module
from ml_core.training.checkpoint import load_weights
from ml_core.training.processes import Processes, _buckets
from tests.unit.training.ranks import end_of, run_ranks, start_ranks
from tests.unit.training.toy import (
    Kept,
    StopAtCheck,
    ToySamples,
    ToyTask,
    assert_same_training,
    toy_fit,
)

EXACT = {"dropout": 0.0, "norm": False}  # what a rank computes depends on its own samples only


def train(folder: Path, *, task=ToyTask, **changes):
    """Fit in `folder`/run and leave the rows that were recorded in `folder`/rows.json."""
    kept = Kept()
    try:
        toy_fit(folder / "run", task=task(**EXACT), arguments={"recorder": kept}, **changes)
    finally:
        if kept.steps:
            (folder / "rows.json").write_text(json.dumps([kept.steps, kept.epochs]))


def both_ways(tmp_path: Path, *, size: int = 2, **changes) -> tuple[Path, Path]:
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    train(alone, **changes)
    assert run_ranks(lambda rank: train(together, **changes), size=size) == [0] * size
    return alone, together


def assert_equal_curves(alone: Path, together: Path, tolerance: float = 1e-6) -> None:
    for mine, theirs in zip(
        *(json.loads((folder / "rows.json").read_text()) for folder in (alone, together)), strict=True
    ):
        assert len(mine) == len(theirs) > 0
        for row, other in zip(mine, theirs, strict=True):
            assert row.keys() == other.keys()
            for name, value in row.items():
                assert other[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


def last_of(folder: Path) -> Path:
    index = json.loads((folder / "run" / "checkpoints" / "index.json").read_text())
    return folder / "run" / "checkpoints" / index["last"]


@pytest.mark.parametrize(
    ("size", "changes"),
    [
        (2, {}),
        (2, {"batch_size": 3, "accumulate_batches": 1}),  # windows of 3: the ranks have 2 and 1
        (2, {"batch_size": 1, "accumulate_batches": 1}),  # the second rank has nothing to do
        (3, {"batch_size": 2, "accumulate_batches": 7}),  # an uneven tail of 12 of 14 samples
        (2, {"num_workers": 1}),
        (2, {"clip_norm": 0.1, "frozen": ["encoder"]}),
    ],
    ids=["even", "odd", "idle rank", "three ranks", "workers", "clipped and frozen"],
)
def test_ranks_together_give_the_curve_of_one_process(tmp_path, size, changes):
    alone, together = both_ways(tmp_path, size=size, **changes)
    assert_equal_curves(alone, together)
    mine, theirs = (load_weights(last_of(folder)) for folder in (alone, together))
    assert all(torch.allclose(mine[name], theirs[name], atol=2e-5) for name in mine)
    states = [json.loads((last_of(folder) / "state.json").read_text())["state"] for folder in (alone, together)]
    for name in ("step", "epoch", "samples", "target_counts", "stop_reason", "waited"):
        assert states[0][name] == states[1][name]


def test_a_term_with_targets_on_one_rank_only_counts_once(tmp_path):
    class OneSided(ToySamples):
        def __init__(self) -> None:
            super().__init__()
            self.values[1::2] = np.nan

        def order(self, *, seed, epoch, size):
            return np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)])

    alone, together = both_ways(tmp_path, train=OneSided(), batch_size=40, accumulate_batches=1)
    assert_equal_curves(alone, together)


def test_a_run_stopped_and_resumed_by_two_ranks_is_bit_equal_to_their_uninterrupted_one(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    everything_on = {"train": ToySamples(weighted=True), "num_workers": 2}

    def go(folder, **more):
        toy_fit(folder / "run", task=ToyTask(), **everything_on, **more)

    assert run_ranks(lambda rank: go(whole)) == [0, 0]
    for questions in (4, 9, 12, 3):  # inside epochs, inside a validation
        stop = {"should_stop": StopAtCheck(questions)}
        assert run_ranks(lambda rank, stop=stop: go(parts, arguments=stop), errors=tmp_path / "errors") == [1, 1]
        assert "Interrupted" in (tmp_path / "errors" / "1").read_text()
    assert run_ranks(lambda rank: go(parts)) == [0, 0]
    assert_same_training(last_of(whole), last_of(parts))


def test_each_rank_draws_its_own_dropout_and_batch_norm_stays_equal(tmp_path):
    def look(rank):
        task = ToyTask()
        try:
            toy_fit(tmp_path / "run", task=task, max_epochs=1)
        finally:
            torch.save({"draw": torch.rand(3), "norm": task.model.encoder[1].running_mean}, tmp_path / str(rank))

    assert run_ranks(look) == [0, 0]
    first, second = (torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1))
    assert not torch.equal(first["draw"], second["draw"])
    # The leader reloads the best weights at the end; with one epoch those are the last ones.
    assert torch.equal(first["norm"], second["norm"])


def test_going_on_with_another_number_of_processes_is_allowed_and_said(tmp_path, caplog):
    def part(rank):
        toy_fit(tmp_path, task=ToyTask(**EXACT), arguments={"should_stop": StopAtCheck(5)})

    assert run_ranks(part, errors=tmp_path / "errors") == [1, 1]
    result = toy_fit(tmp_path, task=ToyTask(**EXACT))
    assert result.resumed_from is not None
    assert "saved by 2 processes, going on with 1" in caplog.text


@pytest.mark.parametrize("asked", [0, 1])
def test_a_stop_asked_of_one_rank_stops_all_with_one_checkpoint(tmp_path, asked):
    def go(rank):
        stop = StopAtCheck(6 if rank == asked else 10**9)
        toy_fit(tmp_path / "run", arguments={"should_stop": stop})

    assert run_ranks(go, errors=tmp_path / "errors") == [1, 1]
    for rank in (0, 1):
        assert (
            (tmp_path / "errors" / str(rank)).read_text().startswith("Interrupted: Training was stopped by the caller")
        )
    assert json.loads((last_of(tmp_path) / "state.json").read_text())["state"]["step"] == 5


def test_a_signal_to_one_rank_stops_all(tmp_path):
    class Slow(ToySamples):
        def fetch(self, indices, *, seed, epoch):
            time.sleep(0.05)
            (tmp_path / "going").touch()
            return super().fetch(indices, seed=seed, epoch=epoch)

    pids = start_ranks(lambda rank: toy_fit(tmp_path / "run", train=Slow()), errors=tmp_path / "errors")
    while not (tmp_path / "going").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(pids[1], signal.SIGTERM)
    began = time.monotonic()
    assert end_of(pids) == [1, 1]
    assert time.monotonic() - began < 10
    assert "stopped by SIGTERM" in (tmp_path / "errors" / "0").read_text()


def test_nan_on_one_rank_stops_all_before_the_update_with_its_sample_named(tmp_path):
    class Planted(ToySamples):
        def order(self, *, seed, epoch, size):
            return np.arange(size)

    samples = Planted()
    samples.features[3] = math.nan  # in the first window of 4, in the second rank's part
    everything = {"train": samples, "task": ToyTask(**EXACT), "batch_size": 4, "accumulate_batches": 1}
    assert run_ranks(lambda rank: toy_fit(tmp_path / "run", **everything), errors=tmp_path / "errors") == [1, 1]
    said = [(tmp_path / "errors" / str(rank)).read_text() for rank in (0, 1)]
    assert said[0] == said[1]
    assert "The loss is not finite at step 1 of epoch 1, samples 2, 3;" in said[0]


def test_a_rank_that_fails_alone_ends_the_others_and_leaves_the_checkpoint_as_it_was(tmp_path):
    class Broken(ToySamples):
        def fetch(self, indices, *, seed, epoch):
            if epoch == 1 and os.environ["RANK"] == "1":
                raise ValueError("planted")
            return super().fetch(indices, seed=seed, epoch=epoch)

    began = time.monotonic()
    codes = run_ranks(lambda rank: toy_fit(tmp_path / "run", train=Broken()), errors=tmp_path / "errors")
    assert codes == [1, 1]
    assert time.monotonic() - began < 10
    assert (tmp_path / "errors" / "1").read_text() == "ValueError: planted"
    assert json.loads((last_of(tmp_path) / "state.json").read_text())["state"]["epoch"] == 1


def test_memory_that_runs_out_on_one_rank_halves_the_passes_of_all(tmp_path):
    class Hungry(ToyTask):
        def losses(self, batch, forward):
            losses = super().losses(batch, forward)
            if os.environ.get("RANK") == "1" and len(batch["classes"]) > 1 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("CUDA out of memory. Planted.")
            return losses

    changes = {"batch_size": 8, "accumulate_batches": 1, "on_oom": "split"}
    alone, together = both_ways(tmp_path, task=Hungry, **changes)
    assert_equal_curves(alone, together)
    assert json.loads((last_of(together) / "state.json").read_text())["state"]["forward_size"] == 1


def test_validation_metrics_of_the_first_epoch_are_bit_equal(tmp_path):
    alone, together = both_ways(
        tmp_path,
        validation=ToySamples(11, noise=0.0, start=1),
        learning_rate=1e-12,
        final_learning_rate=0.0,
        max_epochs=1,
    )
    mine, theirs = (json.loads((folder / "rows.json").read_text())[1][0] for folder in (alone, together))
    assert mine["val_accuracy"] == theirs["val_accuracy"]
    assert mine["val_loss"] == pytest.approx(theirs["val_loss"], abs=1e-9)


def test_a_parameter_used_on_one_rank_only_gets_its_gradient_everywhere_and_an_unused_one_none(tmp_path):
    def look(rank):
        ranks = Processes.join()
        used, mine, unused = (nn.Parameter(torch.zeros(3)) for _ in range(3))
        used.grad = torch.full((3,), 1.0 + rank)
        if rank == 1:
            mine.grad = torch.full((3,), 5.0)
        total = torch.tensor(2.0 + rank)
        ranks.sum_gradients([used, mine, unused], [total])
        torch.save([used.grad, mine.grad, unused.grad, total], tmp_path / str(rank))

    assert run_ranks(look) == [0, 0]
    for rank in (0, 1):
        used, mine, unused, total = torch.load(tmp_path / str(rank), weights_only=True)
        assert used.tolist() == [3.0] * 3
        assert mine.tolist() == [5.0] * 3
        assert unused is None
        assert total.item() == 5.0


def test_buckets_hold_every_tensor_once_with_one_type_each(monkeypatch):
    monkeypatch.setattr(processes_module, "BUCKET_BYTES", 40)
    tensors = [torch.zeros(n, dtype=kind) for n in (1, 4, 30, 2) for kind in (torch.float32, torch.float16)]
    buckets = _buckets(tensors)
    assert [id(t) for bucket in buckets for t in bucket] == [id(t) for t in tensors]
    assert all(len({t.dtype for t in bucket}) == 1 for bucket in buckets)
    assert all(len(bucket) == 1 or sum(t.numel() * t.element_size() for t in bucket) <= 40 for bucket in buckets)


def test_mps_cannot_be_shared():
    with pytest.raises(Exception, match="mps serves one process; use nproc: 1 or device: cpu"):
        Processes(0, 2).own_device(torch.device("mps"))
