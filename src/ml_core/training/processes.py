"""The processes (ranks) that train one model together: each takes a share of every window, and all stay equal.

The gradient is summed once, after a window's last backward pass. A forward pass therefore never waits for another rank,
a rank may have fewer micro-batches than the others or none, and one that runs out of memory can try again by itself.
DistributedDataParallel sums during the last backward pass instead, and hangs when a rank leaves a parameter out.
"""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ml_core.errors import UserError

log = logging.getLogger("ml_core.training")
T = TypeVar("T")

PATIENCE = datetime.timedelta(hours=12)  # for a rank that computes; one that died is noticed at once
BUCKET_BYTES = 64 * 2**20


class FollowerDone(Exception):
    """Raised by `fit` on every rank but the first when training is finished: what follows is the first one's work."""


def under_torchrun() -> bool:
    """Whether torchrun, or another launcher that sets its variables, started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@dataclass(frozen=True)
class Processes:
    """This process' place among those that train together. Alone, every method returns what it was given."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Processes:
        """Meet the others by torchrun's variables, or stay alone where there are none."""
        if not under_torchrun():
            return cls()
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size())

    def leave(self) -> None:
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this is the one that records, saves and reports."""
        return self.rank == 0

    def own_device(self, device: torch.device) -> torch.device:
        """The accelerator of this rank. Raises UserError for a kind that several processes cannot share."""
        if self.size == 1 or device.type == "cpu":
            return device
        if device.type != "cuda":
            raise UserError(f"nproc is {self.size}, but {device.type} serves one process; use nproc: 1 or device: cpu.")
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise UserError(
                f"nproc asks for GPU number {local + 1} on this machine, but there are {torch.cuda.device_count()}; "
                "lower nproc."
            )
        torch.cuda.set_device(local)
        return torch.device("cuda", local)

    def share(self, items: np.ndarray) -> np.ndarray:
        """This rank's contiguous part of `items` [n]; the parts differ in length by one at most, and may be empty."""
        return items if self.size == 1 else np.array_split(items, self.size)[self.rank]

    def sum(self, counts: Sequence[int]) -> list[int]:
        """Each number summed over the ranks."""
        if self.size == 1:
            return list(counts)
        total = torch.tensor(counts, dtype=torch.int64)
        dist.all_reduce(total)
        return total.tolist()

    def gather(self, value: T) -> list[T]:
        """Every rank's value, on every rank. Plain data and small tensors."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def collect(self, value: T) -> list[T] | None:
        """Every rank's value, on the first rank; None on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.leads else None
        dist.gather_object(value, values)
        return values

    def broadcast(self, value: T) -> T:
        """The first rank's value, on every rank."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.sum([0])

    def sum_gradients(self, parameters: Sequence[nn.Parameter], others: Sequence[Tensor]) -> None:
        """Sum gradients over the ranks, and `others` (float tensors) with them, in place.

        A parameter without a gradient here but with one elsewhere gets it; one that no rank used keeps None, as it
        would in a single process.
        """
        if self.size == 1:
            return
        used = self.sum([parameter.grad is not None for parameter in parameters])
        for parameter, ranks in zip(parameters, used, strict=True):
            if ranks and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for bucket in _buckets([*others, *gradients]):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def equal_weights(self, model: nn.Module) -> None:
        """Give every rank the first one's weights and buffers."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def average_statistics(self, model: nn.Module) -> None:
        """Average batch norm's running statistics over the ranks, which saw different samples."""
        if self.size == 1:
            return
        for module in model.modules():
            if isinstance(module, _NormBase) and module.track_running_stats and module.training:
                for buffer in module.buffers(recurse=False):
                    if buffer.is_floating_point():
                        dist.all_reduce(buffer)
                        buffer /= self.size
                    else:  # number of batches seen
                        dist.all_reduce(buffer, op=dist.ReduceOp.MAX)


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors of one type together, up to BUCKET_BYTES each, so that the copies stay small."""
    buckets: list[list[Tensor]] = []
    room = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if not buckets or size > room or buckets[-1][0].dtype != tensor.dtype:
            buckets.append([])
            room = max(BUCKET_BYTES, size)
        buckets[-1].append(tensor)
        room -= size
    return buckets
