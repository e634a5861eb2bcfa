"""A small task with everything that makes exact resumption hard: dropout, batch norm, augmentation, two loss terms."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ml_core.training.checkpoint import load_weights
from ml_core.training.recorder import Recorder
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import FitResult
from ml_core.training.task import Task
from ml_core.training.trainer import fit

TIMES = {"seconds", "samples_per_second", "memory_gb"}


class ToySamples:
    """Points in two classes; some also have a value to regress, so that the two loss terms count differently."""

    def __init__(self, size: int = 40, *, noise: float = 0.1, weighted: bool = False, start: int = 0) -> None:
        random = np.random.default_rng(start)
        self.features = random.normal(size=(size, 6)).astype(np.float32)
        self.classes = (self.features[:, 0] + self.features[:, 1] > 0).astype(np.int64)
        self.values = np.where(random.random(size) < 0.4, self.features.sum(1), np.nan).astype(np.float32)
        self.noise = noise
        if weighted:
            self.weights = 1.0 + 4.0 * self.classes

    def __len__(self) -> int:
        return len(self.classes)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> dict[str, torch.Tensor]:
        noise = np.stack([np.random.default_rng([seed, epoch, i]).normal(size=6) for i in indices])
        features = self.features[indices] + self.noise * noise.astype(np.float32)
        return {
            "features": torch.from_numpy(features),  # [batch, 6]
            "classes": torch.from_numpy(self.classes[indices]),
            "values": torch.from_numpy(self.values[indices]),  # NaN where there is none
        }


class ToyTask(Task):
    weights = {"value": 0.5}  # noqa: RUF012 - as a family would write it

    def __init__(self, *, dropout: float = 0.3, norm: bool = True, seed: int = 7) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential()
        self.model.add_module("encoder", nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8) if norm else nn.Identity()))
        self.model.add_module("middle", nn.Sequential(nn.ReLU(), nn.Dropout(dropout)))
        self.model.add_module("head", nn.Linear(8, 3))

    def counts(self, batch):
        return {"class": len(batch["classes"]), "value": int((~batch["values"].isnan()).sum())}

    def losses(self, batch, forward):
        output = forward(batch["features"])  # [batch, 3]
        known = ~batch["values"].isnan()
        return {
            "class": nn.functional.cross_entropy(output[:, :2], batch["classes"]),
            "value": (output[known, 2] - batch["values"][known]).square().mean(),
        }

    def predictions(self, batch):
        return {
            "guess": self.model(batch["features"])[:, :2].argmax(1).cpu().numpy(),
            "truth": batch["classes"].cpu().numpy(),
        }

    def metrics(self, predictions):
        return {"accuracy": float((predictions["guess"] == predictions["truth"]).mean())}


class Kept(Recorder):
    """Remembers every row, without the figures that differ from one run to the next."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.epochs: list[dict[str, float]] = []

    def step(self, row):
        self.steps.append({name: value for name, value in row.items() if name not in TIMES})

    def epoch(self, row):
        self.epochs.append({name: value for name, value in row.items() if name not in TIMES})


class StopAtCheck:
    """Asks for a stop at the n-th question: one before each window, one before each validation batch."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


def toy_settings(**changes) -> TrainingSettings:
    """3 epochs of 10 windows with 2 micro-batches each, on 40 samples."""
    defaults = {
        "max_epochs": 3,
        "batch_size": 2,
        "accumulate_batches": 2,
        "learning_rate": 0.02,
        "schedule": "warmup_cosine",
        "log_every_steps": 1,
        "device": "cpu",
        "tensorboard": False,
        "progress_bar": False,
    }
    return TrainingSettings(**{**defaults, **changes})


def toy_fit(
    directory: Path, *, task: Task | None = None, train=None, validation=None, arguments=None, **changes
) -> FitResult:
    return fit(
        task or ToyTask(),
        train=train or ToySamples(),
        validation=validation or ToySamples(6, noise=0.0, start=1),
        settings=toy_settings(**changes),
        directory=directory,
        **(arguments or {}),
    )


def exit_code_of(function: Callable[[], object]) -> int:
    """How a process ended that was forked for `function`; minus the signal's number if it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def assert_same_weights(left: Path, right: Path) -> None:
    """Bit-equal weights and buffers of two checkpoints."""
    first, second = load_weights(left), load_weights(right)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


def assert_same_training(left: Path, right: Path) -> None:
    """Bit-equal weights, optimizer, scaler and generators of two checkpoints."""
    assert_same_weights(left, right)
    first, second = (torch.load(path / "training.pt", weights_only=True) for path in (left, right))
    assert flat(first) == flat(second)


def flat(content) -> object:
    """Nested content in which tensors are lists, so that it can be compared."""
    if isinstance(content, torch.Tensor):
        return content.tolist()
    if isinstance(content, dict):
        return {key: flat(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [flat(value) for value in content]
    return content
