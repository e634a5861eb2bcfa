"""What every family promises, on its smallest simulated run (`Family.smallest`).

The first half is asked of each stage that trains, by way of what it would train (`Stage.training`), in one process and
in two; the second half of each family. A new family is found by itself.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from ml_core.errors import NotFinite
from ml_core.families import find_families
from ml_core.stages import Stage
from ml_core.training.checkpoint import CheckpointStore, load_weights
from ml_core.training.interrupt import Interrupted
from ml_core.training.plan import plan_epochs
from ml_core.training.state import FitResult
from ml_core.training.task import Batch, Samples, Training
from ml_core.training.trainer import fit
from tests.contract.conftest import SmallestRun
from tests.unit.training.ranks import run_ranks
from tests.unit.training.toy import TIMES, Kept, StopAtCheck, assert_same_training, assert_same_weights

FAMILIES = list(find_families().values())
TRAINING = [(family, stage) for family in FAMILIES for stage in family.stages if stage.trains]

BATCH = 4  # samples of the batch that is overfitted, and of the one that is split
STEPS = 100  # in which one batch must be overfitted
LEARNT = 0.2  # the share of the first loss below which it counts as overfitted
STOPS = (0.1, 0.3, 0.3, 0.2)  # shares of a whole training between one stop and the next
EQUAL = 1e-5  # relative, between a batch and its parts


@dataclasses.dataclass(frozen=True)
class Trained:
    """A stage that trains, with what it takes to train it again and again."""

    run: SmallestRun
    stage: Stage
    folder: Path

    def training(self, **changes: Any) -> Training:
        """A new model and the samples, as the stage would begin."""
        return self.run.training(self.stage, self.folder / "unused", **changes)

    def fit(
        self, name: str, training: Training, *, arguments: Mapping[str, Any] | None = None, **changes: Any
    ) -> FitResult:
        """Train in the folder `name`, or go on there."""
        return fit(
            training.task,
            train=training.train,
            validation=training.validation,
            settings=self.run.settings(self.stage, **changes),
            directory=self.folder / name,
            fingerprint=dict(training.fingerprint),
            **(arguments or {}),
        )


@dataclasses.dataclass(frozen=True)
class Whole:
    """An uninterrupted training: how it ended, what it recorded, how often it could have been stopped, its task."""

    result: FitResult
    kept: Kept
    checks: int
    training: Training


@pytest.fixture(params=TRAINING, ids=[f"{family.name}-{stage.name}" for family, stage in TRAINING])
def trained(request: pytest.FixtureRequest, smallest_run: Callable[[str], SmallestRun], tmp_path: Path) -> Trained:
    family, stage = request.param
    return Trained(smallest_run(family.name), stage, tmp_path)


@pytest.fixture(scope="session")
def wholes() -> dict[str, Whole]:
    return {}


@pytest.fixture
def whole(trained: Trained, wholes: dict[str, Whole]) -> Whole:
    """Made once for each stage."""
    name = f"{trained.run.family.name}-{trained.stage.name}"
    if name not in wholes:
        kept, never, training = Kept(), StopAtCheck(10**9), trained.training()
        result = trained.fit("whole", training, arguments={"recorder": kept, "should_stop": never})
        wholes[name] = Whole(result, kept, 10**9 - never.left, training)
    return wholes[name]


# ---------------------------------------------------------------- what is learnt


class AsInEpoch:
    """The first `size` samples, in every epoch as they are seen in one."""

    def __init__(self, samples: Samples, *, epoch: int, size: int) -> None:
        self.samples, self.epoch, self.size = samples, epoch, size

    def __len__(self) -> int:
        return self.size

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        return self.samples.fetch(np.sort(indices), seed=0, epoch=self.epoch)


def batch_of_all_classes(training: Training) -> AsInEpoch:
    """One in which each loss term has targets and no metric is NaN, as it is where there is one class only."""
    task = training.task
    task.model.eval()
    for epoch in range(20):
        chosen = AsInEpoch(training.train, epoch=epoch, size=min(BATCH, len(training.train)))
        batch = chosen.fetch(np.arange(len(chosen)), seed=0, epoch=0)
        with torch.no_grad():
            metrics = task.metrics(task.predictions(batch))
        if all(task.counts(batch).values()) and all(math.isfinite(value) for value in metrics.values()):
            return chosen
    raise AssertionError("in none of 20 epochs the first samples have all loss terms and all classes")


def test_one_batch_of_all_classes_is_overfitted(trained: Trained) -> None:
    changes = {"batch_size": BATCH, "accumulate_batches": 1, "max_epochs": 1, "schedule": "constant"}
    training, kept = trained.training(**changes), Kept()
    batch = batch_of_all_classes(training)
    one = dataclasses.replace(training, train=batch, validation=None)
    trained.fit("one", one, arguments={"recorder": kept}, samples_per_epoch=STEPS * len(batch), **changes)
    first, last = kept.steps[0]["loss"], np.mean([row["loss"] for row in kept.steps[-5:]])
    assert len(kept.steps) == STEPS
    assert last < LEARNT * first, f"the loss only fell from {first:.4g} to {last:.4g}"


def test_a_split_batch_is_the_whole_batch(trained: Trained) -> None:
    """Gradients of all loss terms at weights that stand still: two whole windows and a tail of three samples."""
    frozen_in_place = {"learning_rate": 1e-12, "schedule": "constant", "weight_decay": 0.0, "clip_norm": None}
    changes = {**frozen_in_place, "max_epochs": 1, "samples_per_epoch": 2 * BATCH + BATCH - 1}

    def gradients(batch_size: int) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
        split = {**changes, "batch_size": batch_size, "accumulate_batches": BATCH // batch_size}
        training, kept = trained.training(**split), Kept()
        without_chance(training.task.model)
        seen = AsInEpoch(training.train, epoch=batch_of_all_classes(training).epoch, size=len(training.train))
        training = dataclasses.replace(training, train=seen, validation=None)
        trained.fit(f"of-{batch_size}", training, arguments={"recorder": kept}, **split)
        named = training.task.model.named_parameters()
        return kept.steps, {name: p.grad.clone() for name, p in named if p.grad is not None}

    whole_steps, whole = gradients(BATCH)
    assert len(whole_steps) == 3
    assert any(gradient.any() for gradient in whole.values())
    scale = max(gradient.abs().max().item() for gradient in whole.values())
    for batch_size in (2, 1):
        steps, split = gradients(batch_size)
        for left, right in zip(steps, whole_steps, strict=True):
            assert left == pytest.approx(right, rel=EQUAL, abs=EQUAL)
        assert split.keys() == whole.keys()
        for name in whole:
            torch.testing.assert_close(split[name], whole[name], rtol=EQUAL, atol=EQUAL * scale, msg=name)


def without_chance(model: nn.Module) -> None:
    """In eval mode for good: no dropout, also none without a module, and no batch norm that ties samples together."""
    model.eval()
    model.train = lambda mode=True: model


def test_a_frozen_part_is_bit_equal_after_training_and_the_others_are_not(trained: Trained) -> None:
    training = trained.training()
    part = a_part_of(training.task.model)
    before = {name: tensor.clone() for name, tensor in training.task.model.state_dict().items()}
    trained.fit("frozen", training, frozen=[part], max_epochs=1)
    after = training.task.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {name for name in changed if name.startswith(f"{part}.")}
    assert changed


def a_part_of(model: nn.Module) -> str:
    """The first module that holds some of the parameters and not all."""
    every = sum(1 for _ in model.parameters())
    return next(name for name, part in model.named_modules() if 0 < sum(1 for _ in part.parameters()) < every)


# ---------------------------------------------------------------- going on, and not going on


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_training_that_was_stopped_again_and_again_is_bit_equal_to_one_that_was_not(
    trained: Trained, whole: Whole, num_workers: int
) -> None:
    kept = Kept()
    for share in STOPS:
        arguments = {"recorder": kept, "should_stop": StopAtCheck(max(2, round(share * whole.checks)))}
        with pytest.raises(Interrupted):
            trained.fit("cut", trained.training(), arguments=arguments, num_workers=num_workers)
    result = trained.fit("cut", trained.training(), arguments={"recorder": kept}, num_workers=num_workers)
    assert result.resumed_from is not None
    assert_same_training(result.last, whole.result.last)
    assert_same_weights(result.best, whole.result.best)
    assert kept.steps == whole.kept.steps  # losses, learning rate, gradient norm
    assert kept.epochs == whole.kept.epochs


class Planted:
    """NaN in place of every number of the batch that holds sample `bad` in the second epoch.

    Where batches hold ids only, it is the losses of that batch that become NaN.
    """

    def __init__(self, training: Training, bad: int) -> None:
        self.samples, self.bad = training.train, bad
        self.task, self.losses_of = training.task, training.task.losses
        self.fetched: list[bool] = []  # whether `bad` is in each batch that is still to be passed forward
        training.task.losses = self.losses  # type: ignore[method-assign]

        for optional in ("order", "weights"):
            if hasattr(training.train, optional):
                setattr(self, optional, getattr(training.train, optional))

    def __len__(self) -> int:
        return len(self.samples)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        batch = copy.deepcopy(self.samples.fetch(indices, seed=seed, epoch=epoch))
        self.fetched.append(epoch == 1 and self.bad in indices)
        if self.fetched[-1]:
            for tensor in tensors_of(batch):
                if tensor.is_floating_point():
                    tensor.fill_(math.nan)
        return batch

    def losses(self, batch: Batch, forward: Callable[..., Any]) -> dict[str, Tensor]:
        losses = self.losses_of(batch, forward)
        planted = torch.is_grad_enabled() and self.fetched.pop(0)  # a validation batch is none of ours
        if planted and not any(tensor.is_floating_point() for tensor in tensors_of(batch)):
            return {term: loss * math.nan for term, loss in losses.items()}
        return losses


def tensors_of(batch: Batch) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        yield from (tensor for value in batch.values() for tensor in tensors_of(value))
    elif isinstance(batch, list | tuple):
        yield from (tensor for value in batch for tensor in tensors_of(value))
    elif dataclasses.is_dataclass(batch):
        yield from (tensor for value in vars(batch).values() for tensor in tensors_of(value))
    elif hasattr(batch, "to_dict"):  # a graph of PyTorch Geometric
        yield from tensors_of(batch.to_dict())


def test_nan_in_a_batch_stops_before_the_update_and_names_it(trained: Trained) -> None:
    changes = {"batch_size": BATCH, "accumulate_batches": 1}
    settings: Any = trained.run.settings(trained.stage, **changes)
    training = trained.training(**changes)
    plan = plan_epochs(training.train, seed=settings.seed, samples_per_epoch=settings.samples_per_epoch)
    order, size = plan.order(1), settings.window_size
    bad = next(int(sample) for sample in order[size:] if sample not in order[:size])
    at = int(np.flatnonzero(order == bad)[0]) // size * size
    planted = dataclasses.replace(training, train=Planted(training, bad))
    with pytest.raises(NotFinite, match=rf"The loss is not finite at step \d+ of epoch 2, samples .*\b{bad}\b"):
        trained.fit("planted", planted, **changes)
    (last,) = (path for path in (trained.folder / "planted/checkpoints").glob(f"epoch-0001-sample-{at:09d}"))
    saved, left = load_weights(last), training.task.model.state_dict()
    assert all(torch.equal(left[name], saved[name]) for name in saved)
    assert all(torch.isfinite(tensor.float()).all() for tensor in left.values())


# ---------------------------------------------------------------- two processes


def test_two_processes_give_the_curve_of_one(trained: Trained) -> None:
    """Two forward passes of a window, one on each rank: the same sums, and so the same curve, to the last bit or two.

    Where ranks cut a forward pass in two, sums are rounded otherwise, as when a single process cuts it.
    """
    changes = {"max_epochs": 3, "batch_size": 2, "accumulate_batches": 2, "samples_per_epoch": 12}

    def train(name: str) -> None:
        training, kept = trained.training(**changes), Kept()
        without_chance(training.task.model)
        try:
            trained.fit(name, training, arguments={"recorder": kept}, **changes)
        finally:
            if kept.steps:
                (trained.folder / f"{name}.json").write_text(json.dumps([kept.steps, kept.epochs]))

    train("alone")
    assert run_ranks(lambda rank: train("together")) == [0, 0]
    alone, together = (json.loads((trained.folder / f"{name}.json").read_text()) for name in ("alone", "together"))
    for ours, theirs in zip(alone, together, strict=True):
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            losses = [name for name in left if name.endswith("loss")]
            assert losses
            assert [right[name] for name in losses] == pytest.approx([left[name] for name in losses], rel=1e-6)
            assert right["learning_rate"] == left["learning_rate"]


def test_two_processes_stopped_again_and_again_are_bit_equal_to_two_that_were_not(
    trained: Trained,
) -> None:
    def train(name: str, stop: int = 10**9) -> None:
        asked = StopAtCheck(stop)
        try:
            trained.fit(name, trained.training(), arguments={"should_stop": asked}, num_workers=2)
        finally:
            (trained.folder / "checks").write_text(str(stop - asked.left))

    assert run_ranks(lambda rank: train("whole-2")) == [0, 0]
    checks = int((trained.folder / "checks").read_text())  # alike on both ranks, but for a batch of a validation
    for share in STOPS:
        errors, stop = trained.folder / "errors", max(2, round(share * checks))
        assert run_ranks(lambda rank, stop=stop: train("cut-2", stop), errors=errors) == [1, 1]
        assert (errors / "1").read_text().startswith("Interrupted")
    assert run_ranks(lambda rank: train("cut-2")) == [0, 0]
    left, right = (
        CheckpointStore(trained.folder / name / "checkpoints", keep_top=0, mode="min") for name in ("whole-2", "cut-2")
    )
    assert_same_training(left.require("last"), right.require("last"))
    rows = [
        pd.read_csv(trained.folder / name / "logs" / "steps.csv").drop(columns=list(TIMES))
        for name in ("whole-2", "cut-2")
    ]
    pd.testing.assert_frame_equal(*rows)


# ---------------------------------------------------------------- what is handed on


def test_the_artifacts_weights_in_a_new_model_predict_what_the_trained_one_does(trained: Trained, whole: Whole) -> None:
    new = trained.training(seed=1).task
    new.model.load_state_dict(load_weights(trained.run.artifacts[trained.stage.name].directory))
    samples = whole.training.validation or whole.training.train
    batch = samples.fetch(np.arange(len(samples)), seed=0, epoch=0)
    predictions = []
    for task in (new, whole.training.task):
        task.model.eval()
        with torch.no_grad():
            predictions.append(task.predictions(batch))
    ours, theirs = predictions
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


@pytest.fixture(params=[family.name for family in FAMILIES])
def finished(request: pytest.FixtureRequest, smallest_run: Callable[[str], SmallestRun]) -> SmallestRun:
    return smallest_run(request.param)


def test_the_last_stage_is_a_report_with_figures_and_finite_metrics(finished: SmallestRun) -> None:
    report = finished.artifacts[finished.family.stages[-1].name]
    metrics = json.loads(report.path("metrics.json").read_text())
    wrong = {name: value for name, value in metrics.items() if isinstance(value, float) and not math.isfinite(value)}
    assert wrong == {}
    assert set(finished.family.key_metrics) <= metrics.keys()
    page = report.path("report.html").read_text()
    figures = list(report.path("figures").glob("*.png"))
    assert figures
    assert all(figure.read_bytes()[:4] == b"\x89PNG" for figure in figures)
    assert "data:image/png;base64," in page


def test_the_report_has_a_score_with_its_interval(finished: SmallestRun) -> None:
    """By which a champion is chosen: a model is promoted only where it is better by more than this interval."""
    if not finished.family.scores:
        pytest.skip(f"{finished.family.name} declares no score, so that none of its models is promoted by itself")
    numbers = finished.artifacts[finished.family.stages[-1].name].summary.numbers
    known = [score.metric for score in finished.family.scores if numbers.get(score.metric) is not None]
    assert known
    for metric in known:
        assert numbers[f"{metric}_low"] <= numbers[metric] <= numbers[f"{metric}_high"], metric


def test_a_second_run_redoes_nothing(finished: SmallestRun) -> None:
    for stage in finished.family.stages:
        again = finished.run(stage)
        assert again.cached, stage.name
        assert again.artifact.fingerprint == finished.artifacts[stage.name].fingerprint
        assert again.artifact.verify() == []
