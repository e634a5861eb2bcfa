"""Arithmetic: fp32, or mixed precision with bf16 or with fp16 and a gradient scaler."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ml_core.errors import UserError


@dataclass(frozen=True)
class Precision:
    """How one optimizer step computes. `scaler` exists for fp16 only, whose gradients would otherwise vanish."""

    name: str
    reason: str
    device_type: str
    dtype: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None

    def autocast(self) -> AbstractContextManager[object]:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device_type, dtype=self.dtype)

    def backward(self, loss: Tensor) -> None:
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Bring the gradients to their true size, before they are measured and clipped."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.scaler is None:
            optimizer.step()
        else:
            self.scaler.step(optimizer)
            self.scaler.update()

    def overflowed(self) -> bool:
        """Called instead of `step` when the gradient is not finite: True if lowering the scale may cure it."""
        if self.scaler is None:
            return False
        before = self.scaler.get_scale()
        self.scaler.update()
        return self.scaler.get_scale() < before


def choose_precision(requested: str, device: torch.device, *, bf16_agrees_on_cpu: bool) -> Precision:
    """The precision and why. `auto` takes mixed precision where the device has it and it is known to agree.

    Raises UserError for fp16 without CUDA: only there is it both fast and scaled.
    """
    kind = device.type
    if requested == "fp16" and kind != "cuda":
        raise UserError(
            f"precision is 'fp16', but it needs CUDA and the device is {kind}; use precision: auto or bf16."
        )
    name, reason = (requested, f"{requested} was requested") if requested != "auto" else _best(kind, bf16_agrees_on_cpu)
    if name == "bf16":
        return Precision(name, reason, kind, torch.bfloat16)
    if name == "fp16":
        return Precision(name, reason, kind, torch.float16, torch.amp.GradScaler(kind))
    return Precision(name, reason, kind)


def _best(kind: str, bf16_agrees_on_cpu: bool) -> tuple[str, str]:
    if kind == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "this GPU computes in bf16"
        return "fp16", "this GPU has no bf16"
    if kind == "cpu" and bf16_agrees_on_cpu:
        if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
            return "bf16", "this CPU computes in bf16 and the task's metrics are known to agree"
        return "fp32", "this CPU has no bf16 arithmetic"
    return "fp32", f"mixed precision on {kind} is not known to agree for this task"
