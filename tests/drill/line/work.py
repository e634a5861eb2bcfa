"""Stage functions of the line: a model of two numbers, and the loop, checkpoints and journal of every other model."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.checkpoint import load_weights
from ml_core.training.stage import fit_stage
from ml_core.training.task import Task, Training

TEST_SHARE = 4  # every so many points one is tested


def simulate(run: StageRun) -> Summary:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, run.settings.points)
    y = 3 * x - 1 + 0.1 * random.normal(size=len(x))
    np.save(run.directory / "points.npy", np.stack([x, y], axis=1).astype(np.float32))  # [points, 2]
    return Summary(headline=f"{len(x)} points.")


@dataclass
class Points:
    """Rows of a table [points, 2]."""

    table: np.ndarray
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.table)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Tensor:
        time.sleep(self.seconds)
        return torch.from_numpy(self.table[indices])


class LineTask(Task):
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def counts(self, batch: Tensor) -> dict[str, int]:
        return {"square": len(batch)}

    def losses(self, batch: Tensor, forward) -> dict[str, Tensor]:
        return {"square": functional.mse_loss(forward(batch[:, :1])[:, 0], batch[:, 1])}

    def predictions(self, batch: Tensor) -> dict[str, np.ndarray]:
        return {"error": (self.model(batch[:, :1])[:, 0] - batch[:, 1]).cpu().numpy()}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        return {"mse": float((predictions["error"] ** 2).mean())}


def prepare(run: StageRun) -> Training:
    table = np.load(run.inputs["points"].path("points.npy"))
    train = np.delete(table, np.s_[::TEST_SHARE], axis=0)
    torch.manual_seed(run.settings.seed)
    held_out = Points(train[::3])
    return Training(LineTask(nn.Linear(1, 1)), Points(train, seconds=run.settings.seconds_per_batch), held_out)


def train(run: StageRun) -> Summary:
    result = fit_stage(run, prepare(run))
    with (run.directory / "ballast").open("wb") as file:
        for _ in range(run.settings.ballast_mb):
            file.write(bytes(2**20))
    resumed = str(result.resumed_from) if result.resumed_from else None
    return Summary(headline=f"{len(result.history)} epochs.", numbers={"train.resumed_from": resumed})


def report(run: StageRun) -> Summary:
    tested = np.load(run.inputs["points"].path("points.npy"))[::TEST_SHARE]
    weights = load_weights(run.inputs["model"].directory)
    slope, intercept = float(weights["weight"]), float(weights["bias"])
    mse = float(np.mean((slope * tested[:, 0] + intercept - tested[:, 1]) ** 2))
    (run.directory / "report.html").write_text(f"{mse:.{run.settings.digits}f}")
    numbers = {"test.mse": mse, "test.mse_low": 0.999 * mse, "test.mse_high": 1.001 * mse}
    summary = Summary(headline=f"MSE {mse:.4f}.", numbers=numbers)
    summary.check("finite", bool(np.isfinite(mse)), f"{mse:.4f}.")
    return summary
