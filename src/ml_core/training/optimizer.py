"""AdamW over what is trained, each part at its learning rate, and the gradient's norm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ml_core.errors import UserError
from ml_core.training.freeze import Freezing
from ml_core.training.naming import parameters_named
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row


class TrainedParts:
    """AdamW over what is trained now, in groups that have learning rates of their own.

    A group is a dict of PyTorch's; its `pattern` is the entry of `learning_rates` that it follows ("" follows the
    main rate), its `thawed` the entry of `frozen` that set it free ("" was never frozen).

    Raises UserError if nothing is left to train, or for a pattern that names nothing.
    """

    def __init__(self, model: nn.Module, settings: TrainingSettings) -> None:
        self.freezing = Freezing(model, settings.frozen, settings.thaw_epochs)
        self._factors = {pattern: rate / settings.learning_rate for pattern, rate in settings.learning_rates.items()}
        self._patterns = _patterns_of(model, settings.learning_rates)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not trained:
            raise UserError(
                "Nothing is left to train: 'frozen' covers every parameter of the model; take a pattern out."
            )
        self.optimizer = torch.optim.AdamW(
            self._groups(trained, thawed=""),
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=all(parameter.is_floating_point() for parameter in model.parameters()),  # one kernel for all
        )

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer moves."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def thaw(self, epoch: int) -> None:
        """Add the parts to the optimizer that are trained from `epoch` on, counted from 0."""
        self._thaw(self.freezing.due(epoch))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take the optimizer's saved state, after thawing those parts that had thawed by then."""
        self._thaw(list(dict.fromkeys(group["thawed"] for group in saved["param_groups"] if group["thawed"])))
        self.optimizer.load_state_dict(saved)

    def set_learning_rate(self, rate: float) -> None:
        """The main rate; the other groups follow in proportion."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self._factors.get(group["pattern"], 1.0)

    def drop_gradients(self) -> None:
        """`optimizer.zero_grad(set_to_none=True)`, without its hooks for profilers."""
        for parameter in self.parameters:
            parameter.grad = None

    def rates(self, rate: float) -> Row:
        """The main learning rate, and those of the groups that have their own, for a recorder's row."""
        patterns = dict.fromkeys(group["pattern"] for group in self.optimizer.param_groups if group["pattern"])
        own = {f"learning_rate/{pattern}": rate * self._factors[pattern] for pattern in patterns}
        return {"learning_rate": rate, **own}

    def _thaw(self, parts: list[str]) -> None:
        for part, parameters in self.freezing.thaw(parts).items():
            for group in self._groups(parameters, thawed=part):
                self.optimizer.add_param_group(group)

    def _groups(self, parameters: list[nn.Parameter], *, thawed: str) -> list[dict[str, Any]]:
        """One group for each learning rate among these parameters, the main one first."""
        groups: dict[str, list[nn.Parameter]] = {pattern: [] for pattern in ["", *self._factors]}
        for parameter in parameters:
            groups[self._patterns.get(id(parameter), "")].append(parameter)
        return [{"params": group, "pattern": name, "thawed": thawed} for name, group in groups.items() if group]


def clip_gradients(parameters: Sequence[nn.Parameter], *, clip_norm: float | None) -> Tensor:
    """Scale the gradients down to `clip_norm`; returns their norm before that (scalar, on the device).

    The operations of `torch.nn.utils.clip_grad_norm_`, and so its bits, without what it looks up anew at each call.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if len({(gradient.device, gradient.dtype, gradient.layout) for gradient in gradients}) != 1:
        unlike = nn.utils.get_total_norm(gradients)
        if clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, clip_norm, unlike)
        return unlike
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients, 2.0)))
    if clip_norm is not None:
        factor = (norm + 1e-6).reciprocal_().mul_(clip_norm).clamp_(max=1.0)
        torch._foreach_mul_(gradients, factor)
    return norm


def _patterns_of(model: nn.Module, patterns: Iterable[str]) -> dict[int, str]:
    """The first pattern that names each parameter, by the parameter's id."""
    first: dict[int, str] = {}
    for pattern in patterns:
        found = parameters_named(model, pattern, setting="learning_rates")
        left = [id(parameter) for parameter in found.values() if id(parameter) not in first]
        if not left:
            raise UserError(f"learning_rates: earlier entries name all that '{pattern}' does; put it before them.")
        first |= dict.fromkeys(left, pattern)
    return first
