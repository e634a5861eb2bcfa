"""Each family's loader beside its model's step: samples per CPU second of either, on simulated data.

The data are those that growth begins with, the models those of the stages' defaults. A step is forward and backward
pass. Half of the batches are of a first epoch and half of a last one, for what an epoch draws may change on the way.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.artifacts import Artifact, Store
from ml_core.bench.case import Reach, Request, Row, Side
from ml_core.bench.finding import find_growth
from ml_core.families import get_family
from ml_core.running import prepare_training, run_stage
from ml_core.settings import Settings
from ml_core.stages import Family, Stage
from ml_core.training.task import Batch, Task, Training
from ml_core.usage import cpu_seconds

LEAST = 3.0
BATCHES, QUICK_BATCHES = 4, 1


def rows(request: Request) -> list[Row]:
    found: list[Row] = []
    for name, growth in find_growth().items():
        family = get_family(name)
        given = family.smallest if request.quick else growth.at(1)
        found += rows_of(family, given, request)
    return found


def rows_of(family: Family, given: Mapping[str, Mapping[str, Any]], request: Request) -> list[Row]:
    """One row for each stage that trains, on the data that these settings make."""
    found: list[Row] = []
    last = max(number for number, stage in enumerate(family.stages) if stage.trains)
    with tempfile.TemporaryDirectory() as folder:
        store, made = Store(Path(folder)), dict[str, Artifact]()
        for number, stage in enumerate(family.stages[: last + 1]):
            values = dict(given.get(stage.name, {}))
            settings = stage.settings.parse(values, where=f"{family.name} {stage.name}")
            if stage.trains:
                model = settings if request.quick else stage.settings()
                where = Path(folder) / f"prepared-{stage.name}"
                where.mkdir()
                training = prepare_training(family, stage, settings=model, store=store, directory=where, inputs=made)
                found.append(row_of(family, stage, training, model, request))
            if number < last:
                made[stage.name] = run_stage(family, stage, settings=settings, store=store, inputs=made).artifact
    return found


def row_of(family: Family, stage: Stage, training: Training, settings: Settings, request: Request) -> Row:
    """Medians over the rounds; a round that warms up goes ahead."""
    size, epochs = int(settings.batch_size), int(settings.max_epochs)  # type: ignore[attr-defined]
    count = min(QUICK_BATCHES if request.quick else BATCHES, max(1, len(training.train) // size))
    rates: dict[str, list[float]] = {"loader": [], "step": []}
    for number in range(request.rounds + 1):
        clock, samples = Clock(), 0
        for epoch in sorted({0, epochs - 1}):
            for batch in range(count):
                indices = np.arange(batch * size, min((batch + 1) * size, len(training.train)))
                fetched = clock.time("loader", lambda: training.train.fetch(indices, seed=number, epoch=epoch))  # noqa: B023
                clock.time("step", lambda: step(training.task, fetched))  # noqa: B023
                samples += len(indices)
        if number:
            for part, seconds in clock.seconds.items():
                rates[part].append(samples / max(seconds, 1e-9))
    loader, steps = (statistics.median(rates[part]) for part in ("loader", "step"))
    return Row(
        f"{family.name} {stage.name}: loader beside step, batches of {size}",
        Side("loader", loader, "samples/s"),
        Side("step", steps, "samples/s"),
        ratio=loader / steps,
        reach=Reach(least=LEAST),
        rounds=request.rounds,
    )


def step(task: Task, batch: Batch) -> None:
    """Forward and backward pass, as the trainer's."""
    task.model.train().zero_grad(set_to_none=True)
    counts = task.counts(batch)
    losses = task.losses(batch, task.model)
    torch.stack([losses[term] * task.weight(term) for term in losses if counts[term]]).sum().backward()  # type: ignore[no-untyped-call]


@dataclass
class Clock:
    """CPU seconds of each part."""

    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, part: str, work: Callable[[], Any]) -> Any:
        started = cpu_seconds()
        done = work()
        self.seconds[part] = self.seconds.get(part, 0.0) + cpu_seconds() - started
        return done
