"""Parts of a model that stay as they are: no gradient, no optimizer state, always in eval mode."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from ml_core.errors import UserError


def freeze(model: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    """Take the gradient from every parameter that a pattern names, or whose module it names.

    A pattern (`encoder`, `encoder.layers.?`, `*.bias`) is matched against the dotted names of modules and parameters.
    Returns the frozen modules, which `training_mode` keeps in eval mode. Raises UserError for a pattern that matches
    nothing.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    parameters = dict(model.named_parameters())
    frozen: list[nn.Module] = []
    for pattern in patterns:
        found = [module for name, module in modules.items() if fnmatchcase(name, pattern)]
        single = [parameter for name, parameter in parameters.items() if fnmatchcase(name, pattern)]
        if not found and not single:
            parts = ", ".join(name for name, _ in model.named_children())
            raise UserError(f"frozen: '{pattern}' names no part of the model; its parts are {parts}.")
        for module in found:
            module.requires_grad_(False)
        for parameter in single:
            parameter.requires_grad_(False)
        frozen += found
    return frozen


def training_mode(model: nn.Module, frozen: Sequence[nn.Module]) -> None:
    """`model.train()`, but frozen modules stay in eval mode: batch norm keeps its statistics, dropout does nothing."""
    model.train()
    for module in frozen:
        module.eval()
