"""What the training loop costs beside a bare PyTorch loop and beside Lightning's Trainer.

All sides train the same network from the same weights on the same batches, with fused AdamW and clipping. The clock is
the process' CPU time between the first and the last forward pass of a run, so that starting up and saving at the end
count for nobody. Ours writes its CSV files and TensorBoard's, and shows its progress bar; Lightning's Trainer has all
of that switched off. Lightning stands in the extra `bench`.
"""

from __future__ import annotations

import io
import itertools
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.bench.case import Reach, Request, Row, Side, without_peer
from ml_core.bench.turns import Contender, Timed, take_turns
from ml_core.training.settings import TrainingSettings
from ml_core.training.task import Task
from ml_core.training.trainer import fit

LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-4, 0.01, 1.0
FEATURES, BATCH = 64, 32
SAMPLES = 64 * BATCH
# Width, layers and steps of a run: steps of about 20 ms and of about 0.3 ms on one thread.
NETWORKS = {"long steps": (1024, 5, 25), "short steps": (48, 2, 800)}
QUICK_STEPS = 10
ROUNDS = 9  # short ones, and the differences are small
MOST_OVER_BARE, LEAST_CHEAPER = 1.2, 2.3
BARE, OURS, LIGHTNING = "bare loop", "ml_core", "Lightning's Trainer"


def rows(request: Request) -> list[Row]:
    found: list[Row] = []
    names = [BARE, OURS, *([LIGHTNING] if find_spec("lightning") else [])]
    for what, (width, layers, steps) in NETWORKS.items():
        asked = QUICK_STEPS if request.quick else steps
        timed = take_turns(
            [Contender(name, run_of, (name, width, layers, asked)) for name in names],
            rounds=request.rounds if request.quick else ROUNDS,
        )
        for side in timed:  # the same work was done by all
            np.testing.assert_allclose(side.answers[0][1], timed[0].answers[0][1], rtol=1e-3, atol=1e-5)
        found += compared(what, timed)
    return found


def compared(what: str, timed: list[Timed]) -> list[Row]:
    """Ours over the bare loop, and what Lightning adds to the bare loop beside what ours adds."""
    steps = [[answer[0] for answer in side.answers[1:]] for side in timed]
    bare, ours = (statistics.median(each) for each in steps[:2])
    over = statistics.median(a / b for a, b in zip(steps[1], steps[0], strict=True))
    short = what == "short steps"
    left, right = Side(OURS, ours, "ms"), Side(BARE, bare, "ms")
    reach = Reach(most=MOST_OVER_BARE)
    found = [Row(f"{what}: the loop over a bare one", left, right, ratio=over, reach=reach, rounds=len(steps[0]))]
    added = Side(OURS, ours - bare, "ms")
    if len(timed) < 3:
        return [*found, without_peer(f"{what}: what the loop adds to a step", reach=Reach(least=1.0), ours=added)]
    theirs = statistics.median(steps[2]) - bare
    reach_of_lightning = Reach(least=LEAST_CHEAPER) if short else None
    note = "" if short else "both are small beside the step, so that their ratio says little"
    return [
        *found,
        Row(
            f"{what}: what the loop adds to a step",
            added,
            Side(LIGHTNING, theirs, "ms"),
            ratio=theirs / added.value if added.value > 0 else None,
            reach=reach_of_lightning,
            note=note,
            rounds=len(steps[0]),
        ),
    ]


def run_of(name: str, width: int, layers: int, steps: int) -> Callable[[], tuple[float, np.ndarray]]:
    """A run of one side; answers with CPU milliseconds per step and the weights that it ends with."""
    torch.set_num_threads(1)
    logging.getLogger("ml_core").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    points, train = Points(), {BARE: bare, OURS: ours, LIGHTNING: lightning}[name]

    def run() -> tuple[float, np.ndarray]:
        model = Clocked(width, layers)
        train(model, points, steps)
        assert len(model.times) == steps, f"{name} made {len(model.times)} steps, expected {steps}"
        weights = torch.cat([each.detach().flatten() for each in model.parameters()])
        return model.milliseconds_per_step(), weights.numpy()

    return run


class Terminal(io.StringIO):
    """Stands in for the terminal that the progress bar writes to."""

    def isatty(self) -> bool:
        return True


class Clocked(nn.Sequential):
    """A perceptron that notes the CPU time at each forward pass."""

    def __init__(self, width: int, layers: int) -> None:
        torch.manual_seed(0)
        sizes = [FEATURES] + [width] * layers
        hidden = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        super().__init__(*hidden, nn.Linear(width, 1))
        self.times: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        self.times.append(time.process_time())
        return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]

    def milliseconds_per_step(self) -> float:
        return 1e3 * (self.times[-1] - self.times[0]) / (len(self.times) - 1)


class Points:
    """Points with a value to regress, fetched by index."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(SAMPLES, FEATURES, generator=generator)
        self.y = self.x.sum(1, keepdim=True)

    def __len__(self) -> int:
        return SAMPLES

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> dict[str, Tensor]:
        return {"x": self.x[indices], "y": self.y[indices]}


class Regression(Task):
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def counts(self, batch: dict[str, Tensor]) -> dict[str, int]:
        return {"fit": len(batch["y"])}

    def losses(self, batch: dict[str, Tensor], forward: Callable[..., Tensor]) -> dict[str, Tensor]:
        return {"fit": nn.functional.mse_loss(forward(batch["x"]), batch["y"])}

    def predictions(self, batch: dict[str, Tensor]) -> dict[str, np.ndarray]:
        return {}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        return {}


def batches(points: Points, steps: int) -> list[np.ndarray]:
    """Sample indices of each step, int64 [BATCH]: shuffled epochs one after another."""
    random = np.random.default_rng([0, 0])
    rounds = -(-steps * BATCH // len(points))
    order = np.concatenate([random.permutation(len(points)) for _ in range(rounds)])
    return [order[i * BATCH : (i + 1) * BATCH] for i in range(steps)]


def bare(model: Clocked, points: Points, steps: int) -> None:
    """What one would write by hand."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    model.train()
    for indices in batches(points, steps):
        batch = points.fetch(indices, seed=0, epoch=0)
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.mse_loss(model(batch["x"]), batch["y"])
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()


def ours(model: Clocked, points: Points, steps: int) -> None:
    """`fit` with CSV files, TensorBoard and the progress bar."""
    settings = TrainingSettings(
        max_epochs=1,
        batch_size=BATCH,
        samples_per_epoch=steps * BATCH,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        clip_norm=CLIP_NORM,
        schedule="constant",
        device="cpu",
        precision="fp32",
        histogram_every_epochs=None,
        log_every_steps=10,
    )
    terminal, sys.stderr = sys.stderr, Terminal()
    try:
        _fit(model, points, settings)
    finally:
        sys.stderr = terminal


def _fit(model: Clocked, points: Points, settings: TrainingSettings) -> None:
    with tempfile.TemporaryDirectory() as directory:
        fit(Regression(model), train=points, validation=None, settings=settings, directory=Path(directory))


def lightning(model: Clocked, points: Points, steps: int) -> None:
    """Lightning's Trainer without anything that can be switched off: no logger, no checkpoint, no bar."""
    import lightning.pytorch as pl

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(pl.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
            return nn.functional.mse_loss(self.model(batch["x"]), batch["y"])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)

    class Fetched(torch.utils.data.Dataset[Any]):
        def __getitem__(self, indices: np.ndarray) -> dict[str, Tensor]:
            return points.fetch(indices, seed=0, epoch=0)

    order: Any = batches(points, steps)
    loader: Any = torch.utils.data.DataLoader(Fetched(), batch_size=None, sampler=order)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        gradient_clip_val=CLIP_NORM,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), loader)
