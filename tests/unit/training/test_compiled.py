"""What stands around torch.compile; tests/slow/test_compile.py compiles in earnest."""

import logging

import pytest
import torch

from ml_core.errors import UserError
from ml_core.training.compiled import CompiledForward
from tests.unit.training.toy import ToyTask, assert_same_training, toy_fit


@pytest.fixture(autouse=True)
def _as_they_are(monkeypatch):
    """Graphs are traced but run as they are, which takes no compiler."""
    torch._dynamo.reset()
    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda name: lambda graph, inputs: graph)
    yield
    torch._dynamo.reset()


def test_graphs_are_counted_logged_and_told_and_the_checkpoint_keeps_its_names(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "ml_core.training"):
        traced = toy_fit(tmp_path / "traced", compile=True)
    eager = toy_fit(tmp_path / "eager")
    assert (traced.compiled_graphs > 0, eager.compiled_graphs) == (True, 0)
    assert f"torch.compile has made {traced.compiled_graphs} graphs" in caplog.text
    assert_same_training(traced.last, eager.last)  # traced and not changed: the same bits under the same names


def test_a_model_of_which_nothing_is_compiled_is_refused_after_its_first_window(tmp_path):
    class Untraceable(ToyTask):
        def __init__(self):
            super().__init__()
            self.windows = 0
            self.model.forward = torch._dynamo.disable(self.model.forward)

    with pytest.raises(UserError, match=r"torch\.compile made no graph of this model"):
        toy_fit(tmp_path, task=Untraceable(), compile=True)
    (last,) = (tmp_path / "checkpoints").glob("epoch-*")
    assert last.name == "epoch-0000-sample-000000004"


def test_a_compilation_that_fails_is_one_sentence(monkeypatch):
    def fails(graph, inputs):
        raise RuntimeError("no compiler\nfound here")

    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda name: fails)
    forward = CompiledForward(ToyTask().model)
    with pytest.raises(UserError, match=r"failed \(RuntimeError: no compiler\); install a C\+\+ compiler") as caught:
        forward(torch.zeros(2, 6))
    assert "\n" not in str(caught.value)
