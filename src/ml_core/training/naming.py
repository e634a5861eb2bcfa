"""Which parts of a model a pattern means, the same for every setting that names parts."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import nn

from ml_core.errors import UserError


def modules_named(model: nn.Module, pattern: str) -> dict[str, nn.Module]:
    """Modules whose dotted name fits a pattern with wildcards (`encoder`, `encoder.layers.?`); a star crosses dots."""
    return {name: module for name, module in model.named_modules() if name and fnmatchcase(name, pattern)}


def parameters_named(model: nn.Module, pattern: str, *, setting: str) -> dict[str, nn.Parameter]:
    """Parameters that fit a pattern, or whose module does, by their dotted names.

    Raises UserError, which begins with the setting's name, for a pattern that names neither.
    """
    modules = modules_named(model, pattern)
    inside = {id(parameter) for module in modules.values() for parameter in module.parameters()}
    found = {
        name: parameter
        for name, parameter in model.named_parameters()
        if id(parameter) in inside or fnmatchcase(name, pattern)
    }
    if not modules and not found:
        parts = ", ".join(name for name, _ in model.named_children())
        raise UserError(f"{setting}: '{pattern}' names no part of the model; its parts are {parts}.")
    return found
