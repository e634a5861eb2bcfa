"""What the training loop costs beside a bare PyTorch loop and beside Lightning's Trainer.

    python -m ml_core.bench.loop_overhead

All sides train the same network from the same weights on the same batches, with fused AdamW and clipping, and take
turns in one process on one thread. The clock is the process' CPU time between the first and the last forward pass of a
run, so that starting up and saving at the end count for nobody. Lightning stands in the extra `bench`.
"""

from __future__ import annotations

import argparse
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

from ml_core.training.settings import TrainingSettings
from ml_core.training.task import Task
from ml_core.training.trainer import fit

LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-4, 0.01, 1.0
FEATURES, BATCH = 64, 32
SAMPLES = 64 * BATCH
# Width, layers and steps of a run: steps of about 20 ms and of about 0.6 ms on one thread.
NETWORKS = {"long steps": (1024, 5, 25), "short steps": (48, 2, 800)}


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
    """`fit` with its CSV log, as a family calls it."""
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
        tensorboard=False,
        progress_bar=False,
    )
    with tempfile.TemporaryDirectory() as directory:
        fit(Regression(model), train=points, validation=None, settings=settings, directory=Path(directory))


def lightning(model: Clocked, points: Points, steps: int) -> None:
    """Lightning's Trainer without anything that can be switched off: no logger, no checkpoint, no bar."""
    import lightning.pytorch as pl

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(pl.LightningModule):  # type: ignore[misc]
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


def compare(width: int, layers: int, *, steps: int, rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds per step of each side, one per round; the sides take turns, in another order each round."""
    sides: dict[str, Callable[[Clocked, Points, int], None]] = {"bare PyTorch": bare, "ml_core.training": ours}
    if find_spec("lightning"):
        sides["Lightning"] = lightning
    points, names = Points(), list(sides)
    figures: dict[str, list[float]] = {name: [] for name in names}
    weights: dict[str, Tensor] = {}
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            model = Clocked(width, layers)
            sides[name](model, points, steps)
            assert len(model.times) == steps, f"{name} made {len(model.times)} steps, expected {steps}"
            weights[name] = torch.cat([p.detach().flatten() for p in model.parameters()])
            if number:  # the first round warms up
                figures[name].append(model.milliseconds_per_step())
    for name in names:  # the same work was done by all
        torch.testing.assert_close(weights[name], weights["bare PyTorch"], rtol=1e-3, atol=1e-5, msg=name)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of which the median counts (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("ml_core").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    if not find_spec("lightning"):
        print("Lightning is not installed (pip install '.[bench]'): the other two are compared.", file=sys.stderr)
    print(f"torch {torch.__version__}, one thread, medians of {options.rounds} rounds, CPU time per step")
    print(f"{'':12} {'side':18} {'ms per step':>12} {'over bare':>10} {'ms over bare':>13}")
    for name, (width, layers, steps) in NETWORKS.items():
        for side, figures in (found := compare(width, layers, steps=steps, rounds=options.rounds)).items():
            ratios = [figure / base for figure, base in zip(figures, found["bare PyTorch"], strict=True)]
            median, base = statistics.median(figures), statistics.median(found["bare PyTorch"])
            over = f"{100 * (statistics.median(ratios) - 1):+.1f} %"
            print(f"{name:12} {side:18} {median:12.3f} {over:>10} {median - base:13.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
