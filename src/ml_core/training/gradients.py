"""The gradients of a window, from this process' part of its forward passes, and the error when they are not finite."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ml_core.data.batch import to_device
from ml_core.errors import NotFinite
from ml_core.training.machine import Machine
from ml_core.training.state import TrainState
from ml_core.training.task import Batch, Forward, Task


@dataclass(frozen=True)
class PassedBack:
    """What came of a window's passes here. Scalars on the device.

    terms: this process' part of each term's mean over the whole window; summed over the ranks it is that mean.
    batches: the total loss of each forward pass.
    """

    terms: dict[str, Tensor]
    batches: list[Tensor | float]

    def not_finite(self, indices: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Those of the passes' sample indices whose loss is not finite."""
        return [part for part, loss in zip(indices, self.batches, strict=True) if not math.isfinite(float(loss))]


def pass_back(
    task: Task,
    forward: Forward,
    batches: Sequence[Batch],
    *,
    counts: Sequence[dict[str, int]],
    totals: dict[str, int],
    machine: Machine,
) -> PassedBack:
    """Forward and backward pass of each micro-batch; the gradients add up in the parameters.

    `counts` holds the targets of each term in each batch, `totals` those in the whole window, on all ranks. Each term
    is divided by its targets in the whole window. Dividing by the number of micro-batches instead is wrong as soon as
    they differ in targets, as the last ones of an epoch do, and several loss terms always.
    """
    wanted = [term for term, total in totals.items() if total]
    terms: dict[str, Tensor] = {}
    losses: list[Tensor | float] = []
    for batch, count in zip(batches, counts, strict=True):
        with machine.precision.autocast():
            means = task.losses(to_device(batch, machine.device), forward)
        # A term without targets here is left out: its mean is 0 / 0.
        shares = {term: count[term] / totals[term] for term in wanted if count[term]}
        parts = [_times(means[term].float(), task.weight(term) * share) for term, share in shares.items()]
        if not parts:
            losses.append(0.0)
            continue
        loss = functools.reduce(torch.add, parts)
        machine.precision.backward(loss)
        losses.append(loss.detach())
        for term, share in shares.items():
            part = (means[term].detach() * share).float()  # never the loss itself: it is summed over the ranks in place
            terms[term] = terms[term] + part if term in terms else part
    for term in wanted:
        if term not in terms:
            terms[term] = torch.zeros((), device=machine.device)
    return PassedBack({term: terms[term] for term in wanted}, losses)


def _times(value: Tensor, factor: float) -> Tensor:
    """A product that is spared where it changes nothing: a window of one batch, a term of weight 1."""
    return value if factor == 1 else value * factor


def not_finite(what: str, samples: Sequence[np.ndarray], *, state: TrainState, scaled: bool) -> NotFinite:
    """The error that names step and samples. `scaled`: fp16 with a gradient scaler, which a wider type would cure."""
    indices = np.concatenate(samples)
    names = ", ".join(map(str, indices[:20])) + (", ..." if len(indices) > 20 else "")
    again = f" for the {state.skipped_in_a_row + 1}th time in a row" if state.skipped_in_a_row else ""
    wider = ", or take precision: bf16 or fp32" if scaled else ""
    return NotFinite(
        f"The {what} is not finite at step {state.step + 1} of epoch {state.epoch + 1}{again}, samples "
        f"{names}; the weights are those before that step. Look for NaN, infinities or empty targets in these "
        f"samples, or lower learning_rate{wider}."
    )
