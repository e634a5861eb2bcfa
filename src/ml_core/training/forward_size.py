"""How many samples a forward pass has, and fewer of them when memory runs out (on_oom: split)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from ml_core.training.memory import empty_cache, first_line, shortage_in
from ml_core.training.processes import Processes
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import TrainState

log = logging.getLogger("ml_core.training")
Result = TypeVar("Result")


class ForwardSize:
    """batch_size, halved each time that memory runs out; a run that goes on starts with what it was halved to.

    The optimizer's step keeps its samples: they come in more micro-batches. At 1, or with on_oom: stop, nothing can be
    halved, and the error goes its way.
    """

    def __init__(self, settings: TrainingSettings, state: TrainState, *, device: torch.device) -> None:
        self._settings, self._device = settings, device
        self.samples = state.forward_size or settings.batch_size

    @property
    def halved(self) -> int | None:
        """The samples of a forward pass where they are no longer batch_size; for the checkpoint."""
        return self.samples if self.samples != self._settings.batch_size else None

    @property
    def can_be_halved(self) -> bool:
        return self._settings.on_oom == "split" and self.samples > 1

    def shortage_in(self, work: Callable[[], None]) -> Exception | None:
        """Do the work; returns the error if memory ran out and smaller passes can help."""
        if not self.can_be_halved:
            work()
            return None
        return shortage_in(work)

    def agreed(self, work: Callable[[], Result], processes: Processes) -> Result:
        """Result of this rank's work. If memory runs out on one rank and passes can be halved, all ranks raise."""
        if processes.size == 1 or not self.can_be_halved:
            return work()
        done: list[Result] = []
        shortage = shortage_in(lambda: done.append(work()))
        shortages = [text for text in processes.gather(shortage and first_line(shortage)) if text]
        if shortages:
            raise MemoryError(shortages[0])
        return done[0]

    def halve(self, shortage: Exception, state: TrainState) -> None:
        """Give back what is unused, and pass half as many samples for the rest of the run."""
        empty_cache(self._device)
        before, self.samples = self.samples, self.samples // 2
        log.warning(
            "out of memory at step %d of epoch %d (%s): a forward pass has %d samples from now on, not %d",
            *(state.step + 1, state.epoch + 1, first_line(shortage), self.samples, before),
        )
