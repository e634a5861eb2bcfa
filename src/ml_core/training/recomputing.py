"""Gradient checkpointing: parts of the model forget their inner values and compute them again in the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ml_core.errors import UserError
from ml_core.training.naming import modules_named

NEVER_CALLED = (nn.ModuleList, nn.ModuleDict)


@contextmanager
def recomputed(model: nn.Module, patterns: Sequence[str]) -> Iterator[None]:
    """Inside, the modules that a pattern names recompute in train mode; of modules in one another, the outermost.

    Dropout draws the same numbers again and buffers move once, so losses and gradients are the same bits. The model's
    modules and tensors keep their names. Raises UserError if no pattern is given, or one names no module.
    """
    if not patterns:
        raise UserError(
            "gradient_checkpointing is on, but this task declares no parts that it could recompute; turn it off."
        )
    chosen: dict[str, nn.Module] = {}
    for pattern in patterns:
        named = modules_named(model, pattern)
        found = {name: module for name, module in named.items() if not isinstance(module, NEVER_CALLED)}
        if not found:
            raise UserError(f"gradient_checkpointing is on, but this model has no part '{pattern}'; turn it off.")
        chosen |= found
    inner = {id(below) for module in chosen.values() for below in module.modules() if below is not module}
    outermost = [module for module in dict.fromkeys(chosen.values()) if id(module) not in inner]
    for module in outermost:
        module.forward = _recomputing(module)  # an attribute of this one module: its class and names stay
    try:
        yield
    finally:
        for module in outermost:
            del module.forward


def _recomputing(module: nn.Module) -> Any:
    forward = module.forward
    contexts: dict[str, Any] = (
        {"context_fn": lambda: (nullcontext(), _spare_buffers(module))} if list(module.buffers()) else {}
    )

    @functools.wraps(forward)
    def recomputing(*arguments: Any, **keywords: Any) -> Any:
        if not (module.training and torch.is_grad_enabled()):
            return forward(*arguments, **keywords)
        return checkpoint(forward, *arguments, use_reentrant=False, preserve_rng_state=True, **contexts, **keywords)

    return recomputing


@contextmanager
def _spare_buffers(module: nn.Module) -> Iterator[None]:
    """Inside, buffers are copies: batch norm's statistics must not move a second time."""
    places = [
        (owner, name, buffer) for owner in module.modules() for name, buffer in owner.named_buffers(recurse=False)
    ]
    for owner, name, buffer in places:
        owner._buffers[name] = buffer.clone()
    try:
        yield
    finally:
        for owner, name, buffer in places:
            owner._buffers[name] = buffer
