"""Segger's layers, recomputed in the backward pass, give the same bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ml_core.training.recomputing import recomputed
from tests.unit.families.segger.tiny import Tiny


def test_recomputed_layers_give_the_same_loss_and_gradients(tiny: Tiny) -> None:
    batch = tiny.samples().fetch(np.array([0, 1]), seed=0, epoch=0)

    def total_of(losses: dict[str, Tensor]) -> Tensor:
        return torch.stack([loss for loss in losses.values() if loss.isfinite()]).sum()  # NaN: none of that kind here

    def measure(*, on: bool) -> tuple[Tensor, dict[str, Tensor | None], int]:
        task = tiny.task()
        task.model = tiny.network(dropout=0.2).train()
        calls: list[object] = []
        task.model.layers[0].tx_bd.register_forward_hook(lambda *arguments: calls.append(None))
        torch.manual_seed(5)
        if on:
            with recomputed(task.model, task.checkpointed):
                total = total_of(task.losses(batch, task.model))
                total.backward()  # type: ignore[no-untyped-call]
        else:
            total = total_of(task.losses(batch, task.model))
            total.backward()  # type: ignore[no-untyped-call]
        return total.detach(), {name: p.grad for name, p in task.model.named_parameters()}, len(calls)

    (loss, gradients, once), (again, others, twice) = measure(on=False), measure(on=True)
    assert (once, twice) == (1, 2)
    assert torch.equal(loss, again)
    for name, gradient in gradients.items():
        other = others[name]
        assert (gradient is None) == (other is None), name
        assert gradient is None or other is None or torch.equal(gradient, other), name


def test_only_the_layers_themselves_are_recomputed(tiny: Tiny) -> None:
    model = tiny.network()
    with recomputed(model, tiny.task().checkpointed):
        assert [name for name, module in model.named_modules() if "forward" in vars(module)] == ["layers.0", "layers.1"]
