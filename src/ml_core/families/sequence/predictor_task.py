"""What finetuning learns, and how validation judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from ml_core.families.sequence.predictor import Questions, Replies, SequencePredictor
from ml_core.families.sequence.targets import CLASSIFICATION, Target
from ml_core.training.task import Forward, Task


@dataclass(frozen=True)
class Interval:
    """How far below its low and above its high prediction a number lies with chance `level` at most (intervals.py).

    Of predictions between `edges` [bands - 1]; below, above [bands], in the target's units.
    """

    level: float
    edges: list[float]
    below: list[float]
    above: list[float]

    def around(self, point: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends [n] of the interval."""
        band = np.searchsorted(self.edges, point, side="right")
        return low - np.asarray(self.below)[band], high + np.asarray(self.above)[band]


class PredictorTask(Task):
    """One loss term or two, each a mean over samples.

    target: of the standardised number (huber, mse, mae, or the pinball loss of each quantile), or the weighted cross
    entropy of the class; a mean over members. count: squared error of the logarithm of how many ASVs a sample has.
    """

    checkpointed = ("base.asv.layers.*", "base.sample.layers.*")

    def __init__(
        self,
        model: SequencePredictor,
        *,
        target: Target,
        loss: str,
        quantiles: list[float],
        count_weight: float,
        categories: dict[str, list[str]],
        interval: Interval | None = None,
    ) -> None:
        self.interval = interval
        self.model, self.target, self.loss, self.categories = model, target, loss, categories
        self.quantiles = quantiles if loss == "quantile" else []
        self.weights = {"count": count_weight} if count_weight > 0 else {}

    def counts(self, batch: Questions) -> dict[str, int]:
        return {term: len(batch.answer) for term in ("target", *self.weights)}

    def losses(self, batch: Questions, forward: Forward) -> dict[str, Tensor]:
        return self._losses(batch, forward(batch))

    def predictions(self, batch: Questions) -> dict[str, np.ndarray]:
        return self._predictions(batch, self.model(batch))

    def evaluate(self, batch: Questions, forward: Forward) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        replies = forward(batch)
        return self._losses(batch, replies), self._predictions(batch, replies)

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        said, true = predictions["said"], predictions["true"]
        if self.target.kind == CLASSIFICATION:
            return class_metrics(said, true.astype(int))
        return number_metrics(self.middle(said), true)

    def middle(self, said: np.ndarray) -> np.ndarray:
        """The point prediction [n] of numbers [n, outputs]: the median where quantiles are predicted."""
        middle: np.ndarray = said[:, self.quantiles.index(0.5) if self.quantiles else 0]
        return middle

    def said(self, replies: Replies) -> np.ndarray:
        """Members averaged, in the target's units: chances [n, classes], or numbers [n, outputs]."""
        raw = replies.target.detach().float().cpu()
        if self.target.kind == CLASSIFICATION:
            return np.asarray(torch.softmax(raw, -1).mean(0))
        return np.sort(self.target.decode(raw.numpy()).mean(0), axis=1)

    def _losses(self, batch: Questions, replies: Replies) -> dict[str, Tensor]:
        losses = {"target": self._target_loss(replies.target.float(), batch.answer)}
        if replies.richness is not None:
            losses["count"] = F.mse_loss(replies.richness.float(), batch.richness)
        return losses

    def _target_loss(self, said: Tensor, answer: Tensor) -> Tensor:
        """said [members, n, outputs], answer [n]."""
        members = len(said)
        if self.target.kind == CLASSIFICATION:
            weight = torch.tensor(self.target.weights, device=said.device)[answer]
            loss = F.cross_entropy(said.flatten(0, 1), answer.repeat(members), reduction="none").view(members, -1)
            return (loss * weight).mean()
        apart = answer[None, :, None] - said
        if self.loss == "quantile":
            level = torch.tensor(self.quantiles, device=said.device)
            return torch.maximum(level * apart, (level - 1) * apart).mean()
        if self.loss == "huber":
            return F.smooth_l1_loss(apart, torch.zeros_like(apart))
        return apart.abs().mean() if self.loss == "mae" else apart.square().mean()

    def _predictions(self, batch: Questions, replies: Replies) -> dict[str, np.ndarray]:
        answer = batch.answer.cpu().numpy()
        true = answer if self.target.kind == CLASSIFICATION else self.target.decode(answer)
        return {"said": self.said(replies), "true": np.asarray(true)}


def number_metrics(said: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Mean absolute error and root mean squared error in the target's units, and R2; [n] each."""
    several = len(true) > 1 and np.ptp(true) > 0
    return {
        "mae": float(np.abs(said - true).mean()),
        "rmse": float(np.sqrt(np.square(said - true).mean())),
        "r2": float(r2_score(true, said)) if several else float("nan"),
    }


def class_metrics(chance: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """chance [n, classes], true [n]: NaN where `true` has one class only. AUC of more than two: the mean of each
    class against the rest, over the classes that occur."""
    seen = np.unique(true)
    if len(seen) < 2:
        return {"accuracy": float("nan"), "balanced_accuracy": float("nan"), "auc": float("nan")}
    found = chance.argmax(1)
    aucs = [roc_auc_score(true == each, chance[:, each]) for each in seen]
    return {
        "accuracy": float(accuracy_score(true, found)),
        "balanced_accuracy": float(balanced_accuracy_score(true, found)),
        "auc": float(np.mean(aucs)),
    }
