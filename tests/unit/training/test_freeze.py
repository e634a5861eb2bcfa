import pytest
import torch
from torch import nn

from ml_core.errors import UserError
from ml_core.training.checkpoint import load_weights
from ml_core.training.freeze import Freezing
from tests.unit.training.toy import ToyTask, toy_fit


def test_frozen_parts_are_bit_equal_after_training_batch_norms_statistics_included(tmp_path):
    before = {name: tensor.clone() for name, tensor in ToyTask().model.state_dict().items()}
    result = toy_fit(tmp_path, frozen=["encoder"])
    after = load_weights(result.last)
    frozen = [name for name in before if name.startswith("encoder.")]
    assert "encoder.1.running_mean" in frozen
    assert [name for name in frozen if not torch.equal(before[name], after[name])] == []
    assert not torch.equal(before["head.weight"], after["head.weight"])


def test_frozen_parameters_are_not_in_the_optimizer(tmp_path):
    result = toy_fit(tmp_path, frozen=["encoder"])
    saved = torch.load(result.last / "training.pt", weights_only=True)["optimizer"]
    assert saved["param_groups"][0]["params"] == [0, 1]  # weight and bias of the head


def test_frozen_modules_stay_in_eval_mode_through_every_window_and_after_validation(tmp_path):
    modes = []

    class Watched(ToyTask):
        def losses(self, batch, forward):
            model = self.model
            modes.append((model.training, model.encoder.training, model.middle[1].training, model.head.training))
            return super().losses(batch, forward)

    toy_fit(tmp_path, task=Watched(), frozen=["encoder.*", "middle.1"])
    assert {mode for mode in modes if mode[0]} == {(True, True, False, True)}
    assert modes.count((True, True, False, True)) == 3 * 20

    modes.clear()
    toy_fit(tmp_path / "whole", task=Watched(), frozen=["encoder"])
    assert {mode for mode in modes if mode[0]} == {(True, False, True, True)}


def test_a_frozen_module_takes_everything_inside_with_it():
    model = nn.Sequential(
        nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())), nn.Linear(2, 1)
    )
    Freezing(model, ["0"], {}).train_mode()
    assert [module.training for module in model.modules()] == [True, *[False] * 5, True]
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] * 4 + [True] * 2


def test_a_single_parameter_can_be_frozen():
    model = nn.Sequential(nn.Linear(2, 2))
    Freezing(model, ["*.bias"], {}).train_mode()
    assert model[0].training
    assert (model[0].weight.requires_grad, model[0].bias.requires_grad) == (True, False)


def test_a_pattern_that_names_nothing_is_refused_with_the_parts_that_there_are():
    with pytest.raises(UserError, match="'encodr' names no part of the model; its parts are encoder, middle, head"):
        Freezing(ToyTask().model, ["encodr"], {})


def test_freezing_everything_is_refused(tmp_path):
    with pytest.raises(UserError, match="Nothing is left to train"):
        toy_fit(tmp_path, frozen=["*"])
