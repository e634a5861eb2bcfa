"""The learning rate as a pure function of the optimizer step: only the step is ever saved."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from ml_core.training.settings import TrainingSettings

log = logging.getLogger("ml_core.training")


@dataclass(frozen=True)
class Schedule:
    """Course of the learning rate over `steps` optimizer steps; later steps keep the last value.

    `onecycle` is Smith & Topin (2019) with two cosine halves, as `torch.optim.lr_scheduler.OneCycleLR` without its
    changes to Adam's betas: from peak / div to peak to peak / div / final_div.
    """

    kind: str
    steps: int
    peak: float
    final: float
    warmup_steps: int
    warmup_fraction: float
    div: float
    final_div: float

    def at(self, step: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0."""
        step = min(step, self.steps - 1)
        last = self.steps - 1
        if self.kind == "constant":
            return self.peak
        if self.kind == "exponential":
            return self.peak * math.exp(_part(step, 0, last) * math.log(self.final / self.peak))
        if self.kind == "cosine":
            return _cosine(self.peak, self.final, _part(step, 0, last))
        if self.kind == "warmup_cosine":
            if step < self.warmup_steps:
                return self.peak * (step + 1) / self.warmup_steps  # + 1: a step at learning rate 0 would teach nothing
            return _cosine(self.peak, self.final, _part(step, self.warmup_steps - 1, last))
        top = self.warmup_fraction * self.steps - 1
        start = self.peak / self.div
        if step <= top:
            return _cosine(start, self.peak, _part(step, 0, top))
        return _cosine(self.peak, start / self.final_div, _part(step, top, last))


def build_schedule(settings: TrainingSettings, *, steps: int) -> Schedule:
    """The schedule over `steps` optimizer steps, with the learning rate scaled to the batch if that is asked for."""
    peak = settings.learning_rate
    if settings.reference_batch_size is not None:
        peak *= settings.window_size / settings.reference_batch_size
        log.info(
            "learning rate %.3g scaled to %.3g: %d samples per step, meant for %d",
            *(settings.learning_rate, peak, settings.window_size, settings.reference_batch_size),
        )
    longest = max(1, round(settings.warmup_fraction * steps))
    warmup = longest if settings.warmup_steps is None else min(settings.warmup_steps, longest)
    if settings.warmup_steps is not None and warmup < settings.warmup_steps:
        log.warning(
            "warm-up of %d steps cut to %d, %.0f %% of all %d steps",
            *(settings.warmup_steps, warmup, 100 * settings.warmup_fraction, steps),
        )
    return Schedule(
        settings.schedule,
        steps,
        peak,
        settings.final_learning_rate,
        warmup,
        settings.warmup_fraction,
        settings.onecycle_div,
        settings.onecycle_final_div,
    )


def _part(step: float, first: float, last: float) -> float:
    return 1.0 if last <= first else (step - first) / (last - first)


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
