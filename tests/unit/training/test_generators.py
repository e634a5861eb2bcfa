import random

import numpy as np
import pytest
import torch
from torch import nn

from ml_core.training.generators import capture_generators, restore_generators, seed_generators, separate_generators
from ml_core.training.rollback import Rollback

CPU = torch.device("cpu")


def draw():
    return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002, S311


def test_every_generator_comes_back_through_a_file_of_plain_tensors(tmp_path):
    seed_generators(3)
    draw()
    torch.save(capture_generators(CPU), tmp_path / "generators.pt")
    expected = draw()
    seed_generators(4)
    restore_generators(torch.load(tmp_path / "generators.pt", weights_only=True), CPU)
    assert draw() == expected


def test_validation_draws_the_same_numbers_each_time_and_training_does_not_notice():
    seed_generators(0)
    expected = [draw() for _ in range(2)]
    seed_generators(0)
    got, inside = [], []
    for _ in range(2):
        with separate_generators(5, CPU):
            inside.append(draw())
        got.append(draw())
    assert got == expected
    assert inside[0] == inside[1]


def test_generators_are_put_back_after_an_error():
    seed_generators(0)
    expected = draw()
    seed_generators(0)
    with pytest.raises(KeyError), separate_generators(5, CPU):
        raise KeyError
    assert draw() == expected


def test_a_rollback_puts_buffers_and_generators_back_once():
    model = nn.BatchNorm1d(2)
    model.register_buffer("scratch", torch.zeros(1), persistent=False)
    rollback = Rollback(model, CPU)
    rollback.undo()  # nothing is marked: nothing happens
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rollback.mark()
    expected = torch.rand(3)
    model(torch.rand(4, 2))
    rollback.undo()
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    rollback.mark()
    model(torch.rand(4, 2))
    rollback.forget()
    rollback.undo()
    assert model.num_batches_tracked == 1
