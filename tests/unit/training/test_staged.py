"""Training in stages: from another model's weights, at several learning rates, with parts that thaw."""

import pytest
import torch
from torch import nn

from ml_core.errors import UserError
from ml_core.training.checkpoint import load_weights
from ml_core.training.interrupt import Interrupted
from ml_core.training.settings import TrainingSettings
from tests.unit.training.toy import (
    Kept,
    StopAtCheck,
    ToyTask,
    assert_same_training,
    assert_same_weights,
    toy_fit,
)


class Renamed(ToyTask):
    """The toy's encoder under the name `base`."""

    def __init__(self, *, seed=11):
        super().__init__(seed=seed)
        old = self.model
        self.model = nn.Sequential()
        for name, part in (("base", old.encoder), ("middle", old.middle), ("head", nn.Linear(8, 3))):
            self.model.add_module(name, part)


class Watches(ToyTask):
    """Keeps the weights with which its first window began."""

    def losses(self, batch, forward):
        if not hasattr(self, "first"):
            self.first = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        return super().losses(batch, forward)


class WatchesRenamed(Renamed, Watches):
    pass


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A finished run of one epoch."""
    directory = tmp_path_factory.mktemp("source")
    toy_fit(directory, task=ToyTask(seed=3), max_epochs=1)
    return directory


# ---- init_from


def test_a_new_run_starts_from_the_weights_of_a_run_or_of_a_checkpoint(source, tmp_path):
    (checkpoint,) = (source / "checkpoints").glob("epoch-*")
    expected = load_weights(checkpoint)
    for name, given in (("run", source), ("checkpoint", checkpoint)):
        task = Watches()
        toy_fit(tmp_path / name, task=task, init_from=str(given), max_epochs=1)
        assert all(torch.equal(task.first[key], tensor) for key, tensor in expected.items() if "running" not in key)
    assert_same_weights(tmp_path / "run", tmp_path / "checkpoint")


def test_prefixes_rename_and_only_what_is_under_them_is_taken(source, tmp_path):
    task, untouched = WatchesRenamed(), WatchesRenamed()
    changes = {"init_prefixes": {"encoder.": "base."}, "init_missing": ["head.*"], "max_epochs": 1}
    toy_fit(tmp_path, task=task, init_from=str(source), **changes)
    weights = load_weights(source)
    assert torch.equal(task.first["base.0.weight"], weights["encoder.0.weight"])
    assert torch.equal(task.first["head.weight"], untouched.model.head.weight)
    assert not torch.equal(task.first["head.weight"], weights["head.weight"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, r"base\.0\.weight \(here \[8, 6\], there absent\).*encoder\.0\.weight \(here absent, there \[8, 6\]\)"),
        ({"init_missing": ["*"]}, r"do not fit this model: encoder\.0\.bias \(here absent"),
        ({"init_unexpected": ["*"]}, r"do not fit this model: base\.0\.bias \(here \[8\], there absent\)"),
        ({"init_prefixes": {"encoder.": "base."}}, r"head\.weight \(here \[3, 8\], there absent\)"),
        ({"init_prefixes": {"encodr.": "base."}}, "begins with 'encodr.'; they begin with encoder., head."),
        ({"init_prefixes": {"encoder.0.": "base.", "head.": "base."}}, "two tensors in .* would become 'base.bias'"),
        ({"init_missing": ["*"], "init_unexpected": ["encoder.*", "head.*"], "init_prefixes": {"head.": "h."}}, "fit"),
    ],
    ids=["nothing", "missing", "unexpected", "prefix", "misspelt", "collision", "nothing-left"],
)
def test_tensors_that_are_not_accounted_for_are_refused_and_listed(changes, sentence, source, tmp_path):
    task = Renamed()
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    with pytest.raises(UserError, match=sentence):
        toy_fit(tmp_path, task=task, init_from=str(source), **changes)
    assert all(torch.equal(before[name], tensor) for name, tensor in task.model.state_dict().items())


def test_a_tensor_of_another_shape_must_be_allowed_on_both_sides(source, tmp_path):
    class Wider(Watches):
        def __init__(self):
            super().__init__()
            self.model.head = nn.Linear(8, 5)

    for allowed in ({"init_missing": ["head.*"]}, {"init_unexpected": ["head.*"]}):
        with pytest.raises(UserError, match=r"head\.weight \(here \[5, 8\], there \[3, 8\]\)"):
            toy_fit(tmp_path, task=Wider(), init_from=str(source), **allowed)
    both = {"init_missing": ["head.*"], "init_unexpected": ["head.*"], "max_epochs": 1}
    assert toy_fit(tmp_path, task=Wider(), init_from=str(source), **both).stop_reason == "max_epochs"


def test_a_run_goes_on_from_its_own_checkpoint_and_not_from_the_source_again(source, tmp_path):
    changes = {"init_from": str(source)}
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", arguments={"should_stop": StopAtCheck(8)}, **changes)
    resumed = toy_fit(tmp_path / "cut", task=ToyTask(seed=99), **changes)
    whole = toy_fit(tmp_path / "whole", **changes)
    assert_same_training(resumed.last, whole.last)
    scratch = toy_fit(tmp_path / "scratch")
    assert not torch.equal(load_weights(scratch.last)["head.weight"], load_weights(whole.last)["head.weight"])


def test_a_source_that_changed_is_noticed_and_one_that_only_moved_is_not(source, tmp_path):
    folder = tmp_path / "source"
    toy_fit(folder, task=ToyTask(seed=3), max_epochs=1)
    moved = TrainingSettings(init_from=str(folder)).fingerprint()
    assert moved == TrainingSettings(init_from=str(source)).fingerprint() != TrainingSettings().fingerprint()
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", arguments={"should_stop": StopAtCheck(8)}, init_from=str(folder))
    toy_fit(folder, task=ToyTask(seed=3), max_epochs=2)
    with pytest.raises(UserError, match=r"this run was made otherwise \(init_from: \w{64} -> \w{64}\)"):
        toy_fit(tmp_path / "cut", init_from=str(folder))


def test_a_source_without_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: holds no model.safetensors and no finished checkpoint"):
        toy_fit(tmp_path / "run", init_from=str(tmp_path / "nowhere"))


# ---- learning rates


def test_parts_have_their_own_rates_on_the_same_schedule_and_the_first_pattern_wins(tmp_path):
    kept = Kept()
    rates = {"encoder.1": 0.002, "encoder": 0.0002}
    result = toy_fit(tmp_path, arguments={"recorder": kept}, learning_rates=rates)
    for row in [*kept.steps, *kept.epochs]:
        assert row["learning_rate/encoder.1"] == pytest.approx(row["learning_rate"] / 10)
        assert row["learning_rate/encoder"] == pytest.approx(row["learning_rate"] / 100)
    groups = torch.load(result.last / "training.pt", weights_only=True)["optimizer"]["param_groups"]
    sizes = {group["pattern"]: len(group["params"]) for group in groups}
    assert sizes == {"": 2, "encoder.1": 2, "encoder": 2}
    header = (tmp_path / "logs/metrics.csv").read_text().splitlines()[0]
    assert "learning_rate/encoder.1" in header.split(",")


def test_the_same_rate_for_a_part_changes_nothing_and_another_does(tmp_path):
    plain = toy_fit(tmp_path / "plain")
    same = toy_fit(tmp_path / "same", learning_rates={"*": 0.02})
    slow = toy_fit(tmp_path / "slow", learning_rates={"encoder": 1e-12})
    assert_same_weights(plain.last, same.last)
    start = ToyTask().model.state_dict()["encoder.0.weight"]
    torch.testing.assert_close(load_weights(slow.last)["encoder.0.weight"], start, rtol=0, atol=1e-2 * 0.02)
    assert (load_weights(plain.last)["encoder.0.weight"] - start).abs().max() > 0.02


def test_without_own_rates_no_row_speaks_of_them(tmp_path):
    kept = Kept()
    toy_fit(tmp_path, arguments={"recorder": kept}, max_epochs=1)
    assert [name for name in kept.steps[0] if "learning_rate" in name] == ["learning_rate"]


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ({"encodr": 0.1}, "learning_rates: 'encodr' names no part of the model; its parts are encoder, middle, head"),
        ({"*": 0.1, "head": 0.2}, "learning_rates: earlier entries name all that 'head' does"),
    ],
)
def test_a_rate_for_nothing_is_refused(rates, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        toy_fit(tmp_path, learning_rates=rates)


def test_the_order_of_the_patterns_counts_for_the_fingerprint():
    left, right = {"encoder.0": 0.1, "encoder.*": 0.2}, {"encoder.*": 0.2, "encoder.0": 0.1}
    prints = [TrainingSettings(learning_rates=rates).fingerprint() for rates in (left, right)]
    assert prints[0] != prints[1]


# ---- thawing

THAW = {
    "frozen": ["encoder", "middle", "head.bias"],
    "thaw_epochs": {"encoder": 1, "middle": 2},
    "learning_rates": {"encoder.0": 0.005},
}


def test_a_part_thaws_after_its_epochs_and_not_before(tmp_path):
    class Modes(ToyTask):
        def __init__(self):
            super().__init__()
            self.seen = []

        def losses(self, batch, forward):
            model = self.model
            if model.training:
                moved = not torch.equal(model.encoder[0].weight, START["encoder.0.weight"])
                self.seen.append((model.encoder[1].training, model.middle[1].training, moved))
            return super().losses(batch, forward)

    task = Modes()
    kept = Kept()
    result = toy_fit(tmp_path, task=task, arguments={"recorder": kept}, **THAW)
    assert set(task.seen[:20]) == {(False, False, False)}
    assert task.seen[20:22] == [(True, False, False)] * 2  # the first window with the encoder
    assert set(task.seen[22:40]) == {(True, False, True)}
    assert set(task.seen[40:]) == {(True, True, True)}
    assert torch.equal(load_weights(result.last)["head.bias"], START["head.bias"])
    assert ["learning_rate/encoder.0" in row for row in kept.epochs] == [False, True, True]


START = {name: tensor.clone() for name, tensor in ToyTask().model.state_dict().items()}


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([6], id="before"),
        pytest.param([12], id="in-the-validation-before"),
        pytest.param([14], id="exactly-at-the-thaw"),
        pytest.param([15], id="one-window-after"),
        pytest.param([20], id="after"),
        pytest.param([7, 8, 3, 12], id="several-times"),
    ],
)
def test_thawing_resumes_exactly(cuts, tmp_path):
    rows = {"cut": Kept(), "whole": Kept()}
    for cut in cuts:
        with pytest.raises(Interrupted):
            toy_fit(tmp_path / "cut", arguments={"recorder": rows["cut"], "should_stop": StopAtCheck(cut)}, **THAW)
    resumed = toy_fit(tmp_path / "cut", arguments={"recorder": rows["cut"]}, **THAW)
    whole = toy_fit(tmp_path / "whole", arguments={"recorder": rows["whole"]}, **THAW)
    assert_same_training(resumed.last, whole.last)
    assert rows["cut"].steps == rows["whole"].steps


def test_a_part_that_is_named_twice_thaws_when_both_have(tmp_path):
    frozen = {"frozen": ["encoder", "encoder.0"], "thaw_epochs": {"encoder": 1}}
    weights = load_weights(toy_fit(tmp_path, **frozen).last)
    assert torch.equal(weights["encoder.0.weight"], START["encoder.0.weight"])
    assert not torch.equal(weights["encoder.1.weight"], START["encoder.1.weight"])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"thaw_epochs": {"encoder": 1}}, "'encoder' is no entry of frozen \\(which is empty\\); add it there"),
        ({"frozen": ["encoder"], "thaw_epochs": {"encoder": 0}}, "must be frozen for at least 1 epoch"),
        ({"learning_rates": {"encoder": 0.0}}, "must name a part and be above 0"),
        ({"init_missing": [""]}, "each entry must name"),
    ],
)
def test_values_that_cannot_be_are_one_sentence(values, sentence):
    with pytest.raises(UserError, match=sentence):
        TrainingSettings.parse(values, where="test")
