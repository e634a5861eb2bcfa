"""What is learnt, and how validation judges it."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from ml_core.families.segger.model import Decoded, Segger, own_rna, with_gene
from ml_core.families.segger.samples import Batch
from ml_core.training.task import Forward, Task

LIMIT = 25.0  # of link logits, either way
MARGIN = 2.0  # nats, of the triplet loss
FOCUS = 2.0  # gamma of the focal loss (Lin et al. 2017)


class SeggerTask(Task):
    """Three loss terms, each a mean over its transcripts.

    ring:  held-out nuclear transcripts of shrunken nuclei find their own among the negatives (BCE with logits).
    inner: the same for transcripts within the hulls, so that distance 0 keeps its meaning.
    gene:  -log p(gene | place) of transcripts that belong to no known nucleus: a mixture over candidates and
    background.
           It has no labels; it lets the cytoplasm itself teach how far a cell reaches.
    """

    checkpointed = ("layers.*",)

    def __init__(self, model: Segger, *, weights: dict[str, float], link_loss: str = "bce") -> None:
        self.model, self.weights, self.link_loss = model, weights, link_loss

    def counts(self, batch: Batch) -> dict[str, int]:
        linked, inner = batch["own"] >= 0, batch["inner"]
        return {
            "ring": int((linked & ~inner).sum()),
            "inner": int((linked & inner).sum()),
            "gene": int(batch["free"].sum()),
        }

    def losses(self, batch: Batch, forward: Forward) -> dict[str, Tensor]:
        return self._losses(batch, forward(batch))

    def predictions(self, batch: Batch) -> dict[str, np.ndarray]:
        return self._predictions(batch, self.model(batch))

    def evaluate(self, batch: Batch, forward: Forward) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        decoded = forward(batch)
        return self._losses(batch, decoded), self._predictions(batch, decoded)

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """Pooled over the hard candidates of held-out nuclear transcripts; F1 at the threshold that is best here."""
        own, there, chance = (predictions[name] for name in ("own", "there", "chance"))
        known = (own >= 0) & ~predictions["inner"]
        if not known.any():
            return {"auroc": float("nan"), "average_precision": float("nan"), "f1": float("nan"), "top1": float("nan")}
        own, there, chance = own[known], there[known], chance[known]
        right = (np.arange(there.shape[1]) == own[:, None])[there]
        score = chance[there]
        both = 0 < right.sum() < len(right)
        precision, recall, _ = precision_recall_curve(right, score)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return {
            "auroc": float(roc_auc_score(right, score)) if both else float("nan"),
            "average_precision": float(average_precision_score(right, score)) if both else float("nan"),
            "f1": float(f1.max()),
            "top1": float((chance.argmax(axis=1) == own).mean()),
        }

    def _losses(self, batch: Batch, decoded: Decoded) -> dict[str, Tensor]:
        candidates = batch["candidates"].shape[1]
        known = with_gene(decoded, batch["ratio"])
        link = self._link(known, batch)
        linked, inner = batch["own"] >= 0, batch["inner"]
        place = torch.cat([decoded.weight[:, :candidates], decoded.background[:, None]], dim=1)
        seen = torch.cat([known[:, :candidates], decoded.background[:, None]], dim=1)
        gene = torch.logsumexp(place, dim=1) - torch.logsumexp(seen, dim=1)  # -log p(gene | place) / p(gene)
        return {
            "ring": link[linked & ~inner].mean(),
            "inner": link[linked & inner].mean(),
            "gene": gene[batch["free"]].mean(),
        }

    def _link(self, known: Tensor, batch: Batch) -> Tensor:
        """Loss of each judged transcript [r] over its own nucleus and its negatives.

        The logit of a nucleus is its log weight against all others compared: its sigmoid is the chance among them.
        """
        compared, own = batch["compared"], batch["own"].clamp_min(0)
        known = known.masked_fill(~compared, -1e4)
        right = F.one_hot(own, known.shape[1]).bool()
        if self.link_loss == "triplet":
            wrong = compared & ~right
            gap = known.gather(1, own[:, None]) - known
            return (F.relu(MARGIN - gap) * wrong).sum(1) / wrong.sum(1).clamp_min(1)
        logit = (known - _others(known)).clamp(-LIMIT, LIMIT)
        loss = F.binary_cross_entropy_with_logits(logit, right.float(), reduction="none")
        if self.link_loss == "focal":
            loss = loss * (1 - torch.exp(-loss)) ** FOCUS
        return (loss * compared).sum(1)

    def _predictions(self, batch: Batch, decoded: Decoded) -> dict[str, np.ndarray]:
        """Of each judged transcript: chance [r, c] of its candidates, fit [r, c] of its gene (`scoring.Scores`).

        In a nucleus the question is in which it lies, as the stain would say, stray or not; elsewhere whose RNA it is.
        """
        candidates = batch["candidates"].shape[1]
        lies_in, own = with_gene(decoded, batch["ratio"]), own_rna(decoded, batch["ratio"])
        known = torch.where(batch["nuclear"][:, None], lies_in, own)[:, :candidates]
        there = batch["pair_nucleus"][:, :candidates] >= 0
        values = {
            "transcript": batch["transcript"],
            "own": batch["own"],
            "inner": batch["inner"],
            "there": there,
            "chance": torch.softmax(known, dim=1) * there,
            "fit": batch["ratio"][:, :candidates] - batch["best_ratio"][:, None],
        }
        return {name: value.detach().cpu().numpy() for name, value in values.items()}


def _others(values: Tensor) -> Tensor:
    """Log of the summed weights of all other columns, [r, p]."""
    columns = values.shape[1]
    alone = torch.eye(columns, dtype=torch.bool, device=values.device)
    return torch.logsumexp(values[:, None].expand(-1, columns, -1).masked_fill(alone, -1e4), dim=2)
