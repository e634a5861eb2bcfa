"""AdamW over what is trained, and the gradient's norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ml_core.errors import UserError
from ml_core.training.settings import TrainingSettings


def build_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW over the parameters that require a gradient, in one fused kernel where their type allows it.

    Raises UserError if nothing is left to train.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise UserError("Nothing is left to train: 'frozen' covers every parameter of the model; take a pattern out.")
    return torch.optim.AdamW(
        trained,
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=all(parameter.is_floating_point() for parameter in trained),
    )


def clip_gradients(parameters: Sequence[nn.Parameter], *, clip_norm: float | None) -> Tensor:
    """Scale the gradients down to `clip_norm`; returns their norm before that (scalar, on the device)."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    return norm
