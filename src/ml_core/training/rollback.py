"""A mark at the last completed window, to return to when the next one is broken off."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ml_core.training.generators import capture_torch, restore_torch


class Rollback:
    """What a forward pass changes besides gradients: PyTorch's generators, and buffers such as batch norm's statistics.

    Weights need no copy: they change only in the optimizer's step. A mark is set at every window, so it leaves out the
    generators of Python and NumPy, which a forward pass must not draw from if a break must be exactly undone.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._device = device
        self._buffers = [
            (module, name)
            for module in model.modules()
            for name, buffer in module.named_buffers(recurse=False)
            if buffer is not None and name not in module._non_persistent_buffers_set
        ]
        self._generators: dict[str, Tensor] | None = None
        self._copies: list[Tensor] = []

    def mark(self) -> None:
        """A window begins."""
        self._copies = [getattr(module, name).clone() for module, name in self._buffers]
        self._generators = capture_torch(self._device)

    def forget(self) -> None:
        """The window is complete."""
        self._generators = None

    def undo(self) -> None:
        """Put everything back to the mark, if a window is in progress."""
        if self._generators is None:
            return
        for (module, name), copy in zip(self._buffers, self._copies, strict=True):
            getattr(module, name).copy_(copy)
        restore_torch(self._generators, self._device)
        self._generators = None
