"""What a run computes on: its device, its arithmetic, and the other processes that train with this one."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from ml_core.training.device import choose_device, prepare_process
from ml_core.training.precision import Precision, choose_precision
from ml_core.training.processes import Processes
from ml_core.training.settings import TrainingSettings

log = logging.getLogger("ml_core.training")


@dataclass(frozen=True)
class Machine:
    device: torch.device
    reason: str  # why this device
    precision: Precision
    processes: Processes

    @classmethod
    def prepare(cls, settings: TrainingSettings, processes: Processes, *, bf16_agrees_on_cpu: bool) -> Machine:
        """Set up this process, and choose device and precision. Both are logged with the reason."""
        prepare_process(settings)
        device, reason = choose_device(settings.device)
        device = processes.own_device(device)
        precision = choose_precision(settings.precision, device, bf16_agrees_on_cpu=bf16_agrees_on_cpu)
        log.info("device %s: %s", device, reason)
        log.info("precision %s: %s", precision.name, precision.reason)
        return cls(device, reason, precision, processes)
