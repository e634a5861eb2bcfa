"""What pretraining learns, and how validation judges it."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor
from torch.nn import functional as F

from ml_core.families.sequence.model import Answers, SequenceEncoder
from ml_core.families.sequence.samples import Block
from ml_core.training.task import Forward, Task

TERMS = ("unifrac", "nucleotide")


class EncoderTask(Task):
    """Two loss terms; one whose weight is 0 is left out.

    unifrac: squared error of the distances between the samples of a block, a mean over pairs.
    nucleotide: cross entropy of the hidden nucleotides, a mean over them.
    """

    checkpointed = ("asv.layers.*", "sample.layers.*")

    def __init__(self, model: SequenceEncoder, *, weights: dict[str, float]) -> None:
        self.model = model
        self.weights = {term: weights[term] for term in TERMS if weights[term] > 0}

    def counts(self, batch: list[Block]) -> dict[str, int]:
        pairs = sum(len(block.distances) * (len(block.distances) - 1) // 2 for block in batch)
        counted = {"unifrac": pairs, "nucleotide": sum(len(block.answer) for block in batch)}
        return {term: counted[term] for term in self.weights}

    def losses(self, batch: list[Block], forward: Forward) -> dict[str, Tensor]:
        return self._losses(batch, [forward(block) for block in batch])

    def predictions(self, batch: list[Block]) -> dict[str, np.ndarray]:
        return self._predictions(batch, [self.model(block) for block in batch])

    def evaluate(self, batch: list[Block], forward: Forward) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        answers = [forward(block) for block in batch]
        return self._losses(batch, answers), self._predictions(batch, answers)

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """R2 and mean absolute error of distances, share of hidden nucleotides that are named."""
        said, true = predictions["distance"].T
        several = len(true) > 1 and np.ptp(true) > 0
        right = predictions["right"]
        return {
            "unifrac_r2": float(r2_score(true, said)) if several else float("nan"),
            "unifrac_mae": float(np.abs(said - true).mean()) if len(true) else float("nan"),
            "masked_accuracy": float(right.mean()) if len(right) else float("nan"),
        }

    def _losses(self, batch: list[Block], answers: list[Answers]) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        if "unifrac" in self.weights:
            pairs = [of_pairs(a.distances) - of_pairs(b.distances) for a, b in zip(answers, batch, strict=True)]
            losses["unifrac"] = torch.cat(pairs).square().mean()
        if "nucleotide" in self.weights:
            logits = torch.cat([each.nucleotides for each in answers])
            losses["nucleotide"] = F.cross_entropy(logits.float(), torch.cat([block.answer for block in batch]))
        return losses

    def _predictions(self, batch: list[Block], answers: list[Answers]) -> dict[str, np.ndarray]:
        distance, right = [], []
        for block, answer in zip(batch, answers, strict=True):
            both = torch.stack([of_pairs(answer.distances), of_pairs(block.distances)], dim=1)
            distance.append(both.detach().float().cpu().numpy())
            right.append((answer.nucleotides.argmax(1) == block.answer).cpu().numpy())
        return {"distance": np.concatenate(distance), "right": np.concatenate(right)}


def of_pairs(matrix: Tensor) -> Tensor:
    """The entries above the diagonal of [n, n]: [n (n - 1) / 2]."""
    row, column = torch.triu_indices(*matrix.shape, offset=1, device=matrix.device)
    return matrix[row, column]
