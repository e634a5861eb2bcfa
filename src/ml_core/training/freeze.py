"""Parts of a model that stay as they are, for good or until an epoch: no gradient, no optimizer state, eval mode."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from torch import nn

from ml_core.training.naming import modules_named, parameters_named

log = logging.getLogger("ml_core.training")


class Freezing:
    """The parts that are frozen now, and when they thaw.

    A pattern (`encoder`, `encoder.layers.?`, `*.bias`) is matched against the dotted names of modules and parameters.
    What two patterns name is frozen until both have thawed. Parameters that needed no gradient before keep it so.
    Raises UserError for a pattern that matches nothing.
    """

    def __init__(self, model: nn.Module, patterns: Sequence[str], thaw_epochs: Mapping[str, int]) -> None:
        self._model = model
        self._epochs = dict(thaw_epochs)
        self._modules = {pattern: list(modules_named(model, pattern).values()) for pattern in patterns}
        self._parameters = {
            pattern: [p for p in parameters_named(model, pattern, setting="frozen").values() if p.requires_grad]
            for pattern in patterns
        }
        for parameters in self._parameters.values():
            for parameter in parameters:
                parameter.requires_grad_(False)

    def due(self, epoch: int) -> list[str]:
        """Patterns to thaw before `epoch`, counted from 0, in the order in which they stand in the settings."""
        return [pattern for pattern in self._modules if self._epochs.get(pattern, epoch + 1) <= epoch]

    def thaw(self, patterns: Collection[str]) -> dict[str, list[nn.Parameter]]:
        """Let go of these patterns; returns what each of them set free, to be trained from now on."""
        freed = {}
        for pattern in patterns:
            del self._modules[pattern]
            parameters = self._parameters.pop(pattern)
            held = {id(parameter) for others in self._parameters.values() for parameter in others}
            freed[pattern] = [parameter for parameter in parameters if id(parameter) not in held]
            for parameter in freed[pattern]:
                parameter.requires_grad_(True)
            log.info("%s is no longer frozen: %d tensors more are trained", pattern, len(freed[pattern]))
        return freed

    def train_mode(self) -> None:
        """`model.train()`, but frozen modules stay in eval mode: batch norm keeps its statistics, no dropout."""
        self._model.train()
        for modules in self._modules.values():
            for module in modules:
                module.eval()
