"""Parts that are computed twice give the same bits as parts that are computed once."""

import pytest
import torch
from torch import nn

from ml_core.errors import UserError
from ml_core.training.recomputing import recomputed
from tests.unit.training.toy import Kept, ToySamples, ToyTask, assert_same_training, toy_fit


class Layered(ToyTask):
    """Dropout and batch norm stand inside what is recomputed. Counts the calls of a linear map in there."""

    checkpointed = ("layers.*",)

    def __init__(self):
        super().__init__()
        width = 8
        self.model.encoder = nn.Sequential(nn.Linear(6, width))
        self.model.layers = nn.Sequential(
            *(nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Dropout(0.3)) for _ in range(2))
        )
        self.model._modules["head"] = self.model._modules.pop("head")  # the last again
        self.calls = {"train": 0, "validation": 0}
        self.model.layers[0][0].register_forward_hook(self._count)

    def _count(self, module, inputs, output):
        self.calls["train" if module.training else "validation"] += 1


def test_a_whole_training_is_bit_equal_with_dropout_and_batch_norm_inside(tmp_path):
    rows, results, tasks = {}, {}, {}
    for on in (False, True):
        rows[on], tasks[on] = Kept(), Layered()
        results[on] = toy_fit(
            tmp_path / str(on), task=tasks[on], gradient_checkpointing=on, arguments={"recorder": rows[on]}
        )
    assert_same_training(results[True].last, results[False].last)
    assert rows[True].steps == rows[False].steps
    assert rows[True].epochs == rows[False].epochs
    assert tasks[True].calls["train"] == 2 * tasks[False].calls["train"] == 2 * 60
    assert tasks[True].calls["validation"] == tasks[False].calls["validation"] > 0


def test_loss_and_every_gradient_are_bit_equal():
    batch = ToySamples(16).fetch(range(16), seed=0, epoch=0)
    found = []
    for on in (False, True):
        task = Layered()
        torch.manual_seed(1)
        task.model.train()
        if on:
            with recomputed(task.model, task.checkpointed):
                names = list(task.model.state_dict())
                total = sum(task.losses(batch, task.model).values())
                total.backward()
        else:
            names = list(task.model.state_dict())
            total = sum(task.losses(batch, task.model).values())
            total.backward()
        found.append((names, total, {name: p.grad for name, p in task.model.named_parameters()}))
    (names, loss, gradients), (other_names, other_loss, other_gradients) = found
    assert names == other_names
    assert torch.equal(loss, other_loss)
    assert gradients.keys() == other_gradients.keys()
    assert all(torch.equal(gradients[name], other_gradients[name]) for name in gradients)
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values() if gradient.dim() > 1)


def test_of_modules_in_one_another_the_outermost_recomputes_and_afterwards_none_does():
    task = Layered()
    with recomputed(task.model, ["layers*"]):  # the container `layers`, its parts, and theirs
        wrapped = [name for name, module in task.model.named_modules() if "forward" in vars(module)]
    assert wrapped == ["layers"]
    with recomputed(task.model, task.checkpointed):
        wrapped = [name for name, module in task.model.named_modules() if "forward" in vars(module)]
    assert wrapped == ["layers.0", "layers.1"]
    assert [name for name, module in task.model.named_modules() if "forward" in vars(module)] == []


def test_a_list_of_modules_is_never_called_so_its_parts_recompute():
    model = nn.Module()
    model.layers = nn.ModuleList([nn.Linear(1, 1)])
    with recomputed(model, ["layers*"]):
        assert "forward" in vars(model.layers[0])
        assert "forward" not in vars(model.layers)


def test_a_run_may_go_on_with_it_switched_on(tmp_path):
    first = toy_fit(tmp_path / "cut", task=Layered(), max_epochs=2, schedule="constant")
    assert first.state.epoch == 2
    changes = {"max_epochs": 3, "schedule": "constant"}
    resumed = toy_fit(tmp_path / "cut", task=Layered(), gradient_checkpointing=True, **changes)
    assert_same_training(resumed.last, toy_fit(tmp_path / "whole", task=Layered(), **changes).last)


def test_a_task_that_declares_no_parts_is_refused(tmp_path):
    with pytest.raises(UserError, match="gradient_checkpointing is on, but this task declares no parts"):
        toy_fit(tmp_path, gradient_checkpointing=True)


def test_a_declared_part_that_the_model_has_not_is_refused(tmp_path):
    task = Layered()
    task.checkpointed = ("blocks.*",)
    with pytest.raises(UserError, match=r"this model has no part 'blocks\.\*'"):
        toy_fit(tmp_path, task=task, gradient_checkpointing=True)
