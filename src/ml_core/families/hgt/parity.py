"""One training step on the CPU and on the device: do they agree, and which is faster?"""

from __future__ import annotations

import copy
import logging
import time

import numpy as np
import torch

from ml_core.data.batch import to_device
from ml_core.families.hgt.samples import TrainingSamples
from ml_core.families.hgt.task import HGTTask
from ml_core.summary import Number

log = logging.getLogger(__name__)
TOLERANCE = 1e-3  # relative, of loss and gradient norm: float32 sums in another order


def compare_devices(task: HGTTask, samples: TrainingSamples, *, device: torch.device) -> dict[str, Number]:
    """Loss, gradient norm and seconds of the first slice on both, without dropout; the task is left as it was."""
    found = {name: _step(task, samples, torch.device(name)) for name in ("cpu", str(device))}
    cpu, other = found["cpu"], found[str(device)]
    apart = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(cpu[:2], other[:2], strict=True))
    numbers: dict[str, Number] = {
        "parity.loss_cpu": cpu[0],
        "parity.loss_device": other[0],
        "parity.gradient_norm_cpu": cpu[1],
        "parity.gradient_norm_device": other[1],
        "parity.relative_difference": apart,
        "parity.agrees": apart <= TOLERANCE,
        "parity.speed_ratio": cpu[2] / other[2],
        "parity.use": str(device) if apart <= TOLERANCE and other[2] <= cpu[2] else "cpu",
    }
    log.info(
        "parity: loss %.6g on the CPU and %.6g on %s, gradient norm %.6g and %.6g; %s is %.2f times as fast; use %s",
        *(cpu[0], other[0], device, cpu[1], other[1], device, cpu[2] / other[2], numbers["parity.use"]),
    )
    return numbers


def _step(task: HGTTask, samples: TrainingSamples, device: torch.device) -> tuple[float, float, float]:
    """Loss, gradient norm, and seconds of a second step, after one that warms up."""
    copied = copy.copy(task)
    copied.model = copy.deepcopy(task.model).to(device).eval()
    batch = to_device(samples.fetch(np.zeros(1, np.int64), seed=0, epoch=samples.settings.vector_epochs), device)
    seconds = loss_value = norm = 0.0
    for _ in range(2):
        copied.model.zero_grad(set_to_none=True)
        started = time.perf_counter()
        losses = copied.losses(batch, copied.model)
        loss = torch.stack([losses[term] * copied.weights.get(term, 1.0) for term in losses]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [each.grad for each in copied.model.parameters() if each.grad is not None]
        norm, loss_value = float(torch.nn.utils.get_total_norm(gradients)), float(loss.detach())  # waits for the device
        seconds = time.perf_counter() - started
    return loss_value, norm, seconds
