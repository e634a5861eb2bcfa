"""torch.compile and bf16 on a CPU agree with eager fp32 within a stated tolerance; a graph must really be compiled."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from ml_core.errors import UserError
from ml_core.training.checkpoint import load_weights
from ml_core.training.compiled import CompiledForward
from tests.unit.families.segger.conftest import tiny  # noqa: F401 - a fixture
from tests.unit.families.segger.tiny import Tiny
from tests.unit.training.toy import Kept, ToyTask, toy_fit

COMPILED = 1e-4  # relative, of losses and gradients in fp32
BF16 = 0.03  # relative, of losses; bf16 has 8 bits of precision, so one rounding is 0.004
BF16_GRADIENT = 0.1  # length of a gradient's difference, as a share of the gradient's length

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")


@pytest.fixture(autouse=True)
def _anew():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@needs_compiler
def test_a_compiled_training_agrees_with_an_eager_one_and_keeps_its_names(tmp_path):
    rows, results = {}, {}
    for compile_ in (False, True):
        rows[compile_] = Kept()
        task = ToyTask(dropout=0.0, norm=False)
        results[compile_] = toy_fit(
            tmp_path / str(compile_), task=task, compile=compile_, arguments={"recorder": rows[compile_]}
        )
    assert results[False].compiled_graphs == 0
    assert results[True].compiled_graphs >= 2  # in train mode, and in eval mode
    for compiled, eager in zip(rows[True].steps, rows[False].steps, strict=True):
        assert compiled == pytest.approx(eager, rel=COMPILED)
    weights = [load_weights(results[compile_].last) for compile_ in (False, True)]
    assert weights[0].keys() == weights[1].keys()


def losses_and_gradients(task, batch, forward, *, autocast=False):
    """Sum of the finite loss terms, and all gradients in one vector."""
    task.model.train().zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        terms = [loss for loss in task.losses(batch, forward).values() if loss.isfinite()]
    total = torch.stack([term.float() for term in terms]).sum()
    total.backward()
    gradients = [parameter.grad.flatten() for parameter in task.model.parameters() if parameter.grad is not None]
    return total.item(), torch.cat(gradients)


@needs_compiler
def test_seggers_model_compiles_whole_and_agrees(tiny: Tiny):  # noqa: F811
    task, samples = tiny.task(), tiny.samples()
    forward = CompiledForward(task.model)
    for tiles in ([0, 1], [2, 3], [4, 5]):  # three shapes
        batch = samples.fetch(np.array(tiles), seed=0, epoch=0)
        eager, expected = losses_and_gradients(task, batch, task.model)
        compiled, gradients = losses_and_gradients(task, batch, forward)
        assert compiled == pytest.approx(eager, rel=COMPILED)
        assert (gradients - expected).norm() < COMPILED * expected.norm()
    forward.require_graph()
    assert forward.graphs == 2  # for the first shape, and for all shapes
    assert torch._dynamo.explain(task.model)(batch).graph_break_count == 0


def test_bf16_agrees_on_the_toy(tmp_path):
    rows = {precision: Kept() for precision in ("fp32", "bf16")}
    for precision, kept in rows.items():
        task = ToyTask(dropout=0.0, norm=False)
        toy_fit(tmp_path / precision, task=task, precision=precision, arguments={"recorder": kept})
    losses = {precision: [row["train_loss"] for row in kept.epochs] for precision, kept in rows.items()}
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=BF16)
    assert losses["bf16"] != losses["fp32"]


def test_bf16_agrees_on_seggers_model(tiny: Tiny):  # noqa: F811
    task = tiny.task()
    batch = tiny.samples().fetch(np.array([0, 1]), seed=0, epoch=0)
    exact, expected = losses_and_gradients(task, batch, task.model)
    rough, gradients = losses_and_gradients(task, batch, task.model, autocast=True)
    print(f"loss {rough / exact - 1:+.4f}, gradient {(gradients - expected).norm() / expected.norm():.4f}")
    assert rough == pytest.approx(exact, rel=BF16)
    assert 0 < (gradients - expected).norm() < BF16_GRADIENT * expected.norm()


def test_a_missing_compiler_is_one_sentence(tmp_path, monkeypatch):
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    with pytest.raises(
        UserError, match=r"compile is on, but torch\.compile failed .*install a C\+\+ compiler"
    ) as caught:
        toy_fit(tmp_path, compile=True)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "checkpoints").glob("epoch-*"))
