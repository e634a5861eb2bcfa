"""The loop as a whole: exact resumption, windows, non-finite values, validation, early stopping."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ml_core.errors import UserError
from ml_core.training.checkpoint import load_weights
from ml_core.training.interrupt import Interrupted
from ml_core.training.trainer import fit
from tests.unit.training.toy import (
    Kept,
    StopAtCheck,
    ToySamples,
    ToyTask,
    assert_same_training,
    assert_same_weights,
    toy_fit,
    toy_settings,
)


def run_in_pieces(directory, cuts, **changes):
    """Train with a stop at each cut; returns the result and every row that was recorded."""
    kept = Kept()
    for cut in cuts:
        with pytest.raises(Interrupted):
            toy_fit(directory, arguments={"recorder": kept, "should_stop": StopAtCheck(cut)}, **changes)
    return toy_fit(directory, arguments={"recorder": kept}, **changes), kept


@pytest.fixture(scope="module", params=[0, 2], ids=["in-process", "2-workers"])
def whole(request, tmp_path_factory):
    """An uninterrupted run with weighted sampling, dropout, augmentation and batch norm."""
    changes = {"train": ToySamples(weighted=True), "num_workers": request.param}
    result, kept = run_in_pieces(tmp_path_factory.mktemp("whole"), [], **changes)
    return changes, result, kept


# An epoch asks 10 times before a window and 3 times before a validation batch.
@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([2], id="after-the-first-window"),
        pytest.param([6], id="in-an-epoch"),
        pytest.param([11], id="before-validation"),
        pytest.param([13], id="inside-validation"),
        pytest.param([14], id="exactly-at-an-epochs-end"),
        pytest.param([33], id="in-the-last-epoch"),
        pytest.param([39], id="inside-the-last-validation"),
        pytest.param([4, 7, 3, 2, 12], id="five-times"),
    ],
)
def test_a_run_that_was_stopped_and_resumed_is_bit_equal_to_one_that_was_not(whole, cuts, tmp_path):
    changes, expected, expected_rows = whole
    result, rows = run_in_pieces(tmp_path, cuts, **changes)
    assert result.state.resume_count == 0
    assert_same_training(result.last, expected.last)
    assert_same_weights(result.best, expected.best)
    assert rows.steps == expected_rows.steps  # losses, learning rate and gradient norm of every step
    assert rows.epochs == expected_rows.epochs
    assert [row["val_loss"] for row in result.history] == [row["val_loss"] for row in expected.history]


def test_workers_and_the_training_process_fetch_the_same_run(tmp_path):
    alone = toy_fit(tmp_path / "alone")
    helped = toy_fit(tmp_path / "helped", num_workers=2, persistent_workers=False)
    assert_same_training(alone.last, helped.last)


class BreaksOff(ToyTask):
    """Raises an error in the second micro-batch of a window, when batch norm and the generators have moved on."""

    def __init__(self, error, *, at_call):
        super().__init__()
        self.error, self.calls_left = error, at_call

    def losses(self, batch, forward):
        losses = super().losses(batch, forward)
        self.calls_left -= 1
        if self.calls_left == 0:
            raise self.error
        return losses


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RuntimeError("CUDA error: device-side assert triggered")], ids=repr
)
def test_whatever_breaks_off_a_window_the_last_completed_one_is_saved_exactly(error, tmp_path):
    with pytest.raises(type(error)):
        toy_fit(tmp_path / "cut", task=BreaksOff(error, at_call=12))
    (saved,) = (tmp_path / "cut/checkpoints").glob("epoch-*")
    assert saved.name == "epoch-0000-sample-000000020"  # five windows of four samples
    resumed, expected = toy_fit(tmp_path / "cut"), toy_fit(tmp_path / "whole")
    assert resumed.resumed_from == saved
    assert_same_training(resumed.last, expected.last)


def test_a_stop_while_the_weights_move_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    class Torn(torch.optim.AdamW):
        steps = 0

        def step(self, closure=None):
            Torn.steps += 1
            if Torn.steps == 15:
                with torch.no_grad():
                    self.param_groups[0]["params"][0].add_(1.0)
                raise KeyboardInterrupt
            return super().step(closure)

    monkeypatch.setattr("torch.optim.AdamW", Torn)
    with pytest.raises(KeyboardInterrupt):
        toy_fit(tmp_path / "cut")
    resumed, expected = toy_fit(tmp_path / "cut"), toy_fit(tmp_path / "whole")
    assert resumed.resumed_from.name == "epoch-0001-sample-000000000"
    assert_same_training(resumed.last, expected.last)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 6, 12])
def test_every_split_of_a_batch_gives_the_step_of_the_whole_batch(batch_size, tmp_path):
    """Windows of 12 samples in 31, so the last has 7; two loss terms with different counts in each micro-batch."""

    def train(directory, size):
        kept = Kept()
        task = ToyTask(dropout=0.0, norm=False)
        settings = toy_settings(max_epochs=2, batch_size=size, accumulate_batches=12 // size, weight_decay=0.1)
        fit(task, train=ToySamples(31), validation=None, settings=settings, directory=directory, recorder=kept)
        return task.model.state_dict(), kept.steps

    whole, whole_steps = train(tmp_path / "whole", 12)
    split, split_steps = train(tmp_path / "split", batch_size)
    for name in whole:
        torch.testing.assert_close(split[name], whole[name], rtol=1e-5, atol=1e-5)
    for left, right in zip(split_steps, whole_steps, strict=True):
        assert left == pytest.approx(right, rel=1e-5)


def test_an_uneven_split_gives_the_gradient_of_the_whole_batch(tmp_path):
    """One window of 7 samples, cut into 5 + 2 by hand: gradients, not only weights, which Adam would even out."""
    norms = []
    for size, pieces in ((7, 1), (5, 2), (3, 3), (1, 7)):
        kept = Kept()
        task = ToyTask(dropout=0.0, norm=False)
        settings = toy_settings(max_epochs=1, batch_size=size, accumulate_batches=pieces, clip_norm=None)
        directory = tmp_path / str(size)
        fit(task, train=ToySamples(7), validation=None, settings=settings, directory=directory, recorder=kept)
        assert len(kept.steps) == 1
        norms.append(kept.steps[0]["gradient_norm"])
    assert norms == pytest.approx([norms[0]] * 4, rel=1e-5)


def test_a_micro_batch_without_targets_of_a_term_adds_nothing_to_it(tmp_path):
    train = ToySamples(8)
    train.values[:] = np.nan
    train.values[0] = 1.0
    result = toy_fit(tmp_path, task=ToyTask(norm=False), train=train, batch_size=1, accumulate_batches=8)
    assert all(math.isfinite(row["train_value_loss"]) for row in result.history)


def test_the_learning_rate_moves_by_optimizer_steps_and_not_by_micro_batches(tmp_path):
    rates = {}
    for size, pieces in ((4, 1), (2, 2), (1, 4)):
        kept = Kept()
        arguments = {"recorder": kept}
        changes = {"batch_size": size, "accumulate_batches": pieces}
        toy_fit(tmp_path / str(size), task=ToyTask(norm=False), arguments=arguments, **changes)
        rates[size] = [row["learning_rate"] for row in kept.steps]
    assert len(rates[4]) == 30
    assert rates[1] == rates[2] == rates[4]
    assert rates[4][:3] == pytest.approx([0.02 / 3, 0.04 / 3, 0.02])  # warm-up of 3 in 30 steps, not from 0
    assert rates[4][-1] == pytest.approx(1e-6)


@pytest.mark.parametrize("where", ["features", "gradient"])
def test_a_value_that_is_not_finite_stops_before_the_update_and_names_step_and_samples(where, tmp_path):
    bad = 17

    class Planted(ToySamples):
        def fetch(self, indices, *, seed, epoch):
            batch = super().fetch(indices, seed=seed, epoch=epoch)
            if epoch == 1 and where == "features":
                batch["features"][indices == bad] = np.nan
            return {**batch, "planted": torch.tensor(epoch == 1 and bad in indices)}

    class Explodes(ToyTask):
        def losses(self, batch, forward):
            losses = super().losses(batch, forward)
            if where == "gradient" and bool(batch.get("planted")):
                scale = self.model.head.weight.flatten()[0]
                losses["class"] = losses["class"] + (scale - scale.detach()).abs().sqrt()  # finite, its slope is not
            return losses

    task = Explodes()
    with pytest.raises(UserError, match="is not finite at step") as caught:
        toy_fit(tmp_path, task=task, train=Planted())
    message = str(caught.value)
    assert ("loss" if where == "features" else "gradient norm") in message
    named = [int(i) for i in message.split("samples ")[1].split(";")[0].split(", ")]
    assert bad in named
    assert len(named) == (2 if where == "features" else 4)  # the micro-batch, or the whole window
    step = int(message.split("at step ")[1].split()[0])
    (last,) = (p for p in (tmp_path / "checkpoints").glob("epoch-0001-*") if not p.name.endswith("-000000000"))
    assert last.name == f"epoch-0001-sample-{4 * (step - 11):09d}"  # every window before it, and none after
    saved = load_weights(last)
    for name, tensor in task.model.state_dict().items():
        assert torch.equal(tensor, saved[name]), name
        assert torch.isfinite(tensor.float()).all(), name


def test_validation_disturbs_nothing(tmp_path):
    class RandomValidation(ToyTask):
        def metrics(self, predictions):
            torch.rand(5), np.random.rand(5)  # noqa: NPY002 - a library that draws from the global generators
            return super().metrics(predictions)

    rows = {}
    for every in (1, 2, 3):
        kept = Kept()
        result = toy_fit(
            tmp_path / str(every), task=RandomValidation(), validate_every_epochs=every, arguments={"recorder": kept}
        )
        rows[every] = kept.steps
        validated = [row["epoch"] for row in result.history if "val_loss" in row]
        assert validated == [number for number in (1, 2, 3) if number % every == 0 or number == 3]
    kept = Kept()
    settings = toy_settings()
    directory = tmp_path / "never"
    fit(RandomValidation(), train=ToySamples(), validation=None, settings=settings, directory=directory, recorder=kept)
    assert kept.steps == rows[1] == rows[2] == rows[3]


def test_validation_covers_the_whole_set_and_weighs_each_target_once(tmp_path):
    seen = []

    class Watched(ToyTask):
        def metrics(self, predictions):
            seen.append(predictions["truth"])
            return super().metrics(predictions)

    validation = ToySamples(7, noise=0.0, start=1)  # 7 samples in batches of 2: the last is short
    task = Watched()
    result = toy_fit(tmp_path, task=task, validation=validation, max_epochs=1)
    assert np.array_equal(seen[0], validation.classes)
    task.model.eval()
    batch = validation.fetch(np.arange(7), seed=0, epoch=0)
    expected = task.losses(batch, task.model)
    assert result.history[0]["val_class_loss"] == pytest.approx(expected["class"].item(), rel=1e-6)
    assert result.history[0]["val_value_loss"] == pytest.approx(expected["value"].item(), rel=1e-6)
    assert result.history[0]["val_loss"] == pytest.approx(
        (expected["class"] + 0.5 * expected["value"]).item(), rel=1e-6
    )


class Scripted(ToyTask):
    """Reports the scores that it was given, one per validation."""

    def __init__(self, scores):
        super().__init__()
        self.scores = iter(scores)

    def metrics(self, predictions):
        return {"score": next(self.scores)}


NAN = math.nan


@pytest.mark.parametrize(
    ("scores", "best_epoch", "epochs"),
    [
        pytest.param([NAN, 0.0, NAN, NAN], 2, 4, id="zero-beats-a-nan-and-nan-counts-as-no-improvement"),
        pytest.param([0.0, NAN, -1.0], 1, 3, id="nan-and-worse-values-use-up-the-patience"),
        pytest.param([0.1, 0.1, 0.2, 0.2, 0.2], 3, 5, id="an-equal-value-is-no-improvement"),
        pytest.param([math.inf, 0.3, 0.1, 0.1], 2, 4, id="infinity-is-never-the-best"),
    ],
)
def test_patience_and_the_best_checkpoint_follow_the_monitored_value(scores, best_epoch, epochs, tmp_path):
    changes = {"monitor": "val_score", "monitor_mode": "max", "patience": 2, "max_epochs": 9}
    result = toy_fit(tmp_path, task=Scripted(scores), **changes)
    assert result.stop_reason == "patience"
    assert len(result.history) == epochs
    assert result.best.name == f"epoch-{best_epoch:04d}-sample-000000000"


def test_no_finite_value_at_all_leaves_the_last_model(tmp_path):
    changes = {"monitor": "val_score", "monitor_mode": "max"}
    result = toy_fit(tmp_path, task=Scripted([NAN] * 3), **changes)
    assert result.best == result.last
    assert result.state.best_metric is None
    again = toy_fit(tmp_path, **changes)  # from state.json, which has no NaN
    assert [math.isnan(row["val_score"]) for row in again.history] == [True] * 3


def test_an_empty_validation_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="The validation set has no samples"):
        toy_fit(tmp_path, validation=EmptySamples())


class EmptySamples(ToySamples):
    """None at all, and yet not false, so that it is not taken for no validation."""

    def __len__(self):
        return 0

    def __bool__(self):
        return True


def test_patience_survives_a_resumption(tmp_path):
    changes = {"monitor": "val_score", "monitor_mode": "max", "patience": 3, "max_epochs": 9}
    with pytest.raises(Interrupted):  # after two epochs, one of them without improvement
        toy_fit(tmp_path, task=Scripted([0.5, 0.4]), arguments={"should_stop": StopAtCheck(27)}, **changes)
    result = toy_fit(tmp_path, task=Scripted([0.3, NAN]), **changes)
    assert (result.stop_reason, len(result.history), result.state.waited) == ("patience", 4, 3)


def test_the_best_weights_are_in_the_model_afterwards(tmp_path):
    task = Scripted([0.1, 0.9, 0.2])
    result = toy_fit(tmp_path, task=task, monitor="val_score", monitor_mode="max")
    assert result.best.name.startswith("epoch-0002")
    for name, tensor in load_weights(result.best).items():
        assert torch.equal(task.model.state_dict()[name], tensor)


def test_a_monitor_that_the_task_does_not_give_is_refused_with_those_that_it_gives(tmp_path):
    with pytest.raises(UserError, match=r"'val_auroc'.*val_loss, val_class_loss, val_value_loss, val_accuracy"):
        toy_fit(tmp_path, monitor="val_auroc", monitor_mode="max")


def test_a_finished_run_returns_at_once_with_its_best_weights(tmp_path):
    first = toy_fit(tmp_path)
    logs = {path: path.read_bytes() for path in (tmp_path / "logs").iterdir()}

    class MustNotTrain(ToyTask):
        def losses(self, batch, forward):
            raise AssertionError("a finished run must not be trained")

    task = MustNotTrain(seed=99)
    again = toy_fit(tmp_path, task=task)
    assert (again.state, again.best, again.last) == (first.state, first.best, first.last)
    assert [row["val_loss"] for row in again.history] == [row["val_loss"] for row in first.history]
    assert torch.equal(task.model.head.weight, load_weights(first.best)["head.weight"])
    assert {path: path.read_bytes() for path in (tmp_path / "logs").iterdir()} == logs


def test_a_batch_with_two_classes_can_be_learned_by_heart(tmp_path):
    samples = ToySamples(16, noise=0.0)
    assert set(samples.classes) == {0, 1}
    changes = {"batch_size": 16, "accumulate_batches": 1, "max_epochs": 60, "learning_rate": 0.05, "patience": None}
    task = ToyTask(dropout=0.0)
    result = toy_fit(tmp_path, task=task, train=samples, validation=samples, **changes)
    assert result.history[-1]["val_accuracy"] == 1.0
    assert result.history[-1]["train_class_loss"] < 0.1 * result.history[0]["train_class_loss"]


def test_bf16_mixed_precision_trains_and_keeps_its_weights_in_fp32(tmp_path):
    task = ToyTask(dropout=0.0, norm=False)
    result = toy_fit(tmp_path, task=task, precision="bf16", max_epochs=2)
    assert result.precision == "bf16"
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert {parameter.dtype for parameter in task.model.parameters()} == {torch.float32}


def test_a_model_with_tied_weights_survives_its_checkpoint(tmp_path):
    class Tied(ToyTask):
        def __init__(self):
            super().__init__()
            self.model.encoder.append(nn.Linear(8, 8))
            self.model.encoder.append(nn.Linear(8, 8))
            self.model.encoder[3].weight = self.model.encoder[2].weight

    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", task=Tied(), arguments={"should_stop": StopAtCheck(5)})
    resumed, expected = toy_fit(tmp_path / "cut", task=Tied()), toy_fit(tmp_path / "whole", task=Tied())
    assert_same_training(resumed.last, expected.last)


def test_a_second_process_in_the_same_directory_is_refused(tmp_path):
    class TrainsTwice(ToyTask):
        def metrics(self, predictions):
            with pytest.raises(UserError, match="another process is training here"):
                toy_fit(tmp_path)
            return super().metrics(predictions)

    toy_fit(tmp_path, task=TrainsTwice(), max_epochs=1)
