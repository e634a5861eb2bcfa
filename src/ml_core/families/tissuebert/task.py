"""What the model learns, and how validation judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from ml_core.families.tissuebert.batches import Bags
from ml_core.families.tissuebert.model import Answers, TissueBert
from ml_core.families.tissuebert.scores import accuracy, by_tissue, confusion, pooled
from ml_core.training.task import Forward, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = ("tissue", "likelihood", "bag")


class TissueTask(Task):
    """Three cross entropies, all over tissues that are alike frequent; one whose weight is 0 is left out.

    tissue: of the tissue head, with label smoothing, a mean over reads. likelihood: of the likelihoods, a mean over
    reads. bag: of the likelihoods summed over a bag, a mean over bags. Only there do reads help one another.
    """

    checkpointed = ("encoder.layers.*",)

    def __init__(
        self, model: TissueBert, *, tissues: Sequence[str], weights: Mapping[str, float], label_smoothing: float
    ) -> None:
        self.model, self.tissues, self.label_smoothing = model, list(tissues), label_smoothing
        self.weights = {term: weights[term] for term in TERMS if weights[term] > 0}

    def counts(self, batch: Bags) -> dict[str, int]:
        reads = int(batch.weight.sum())
        counted = {"tissue": reads, "likelihood": reads, "bag": len(batch.tissue)}
        return {term: counted[term] for term in self.weights}

    def losses(self, batch: Bags, forward: Forward) -> dict[str, Tensor]:
        return self._losses(batch, forward(batch.reads))

    def predictions(self, batch: Bags) -> dict[str, np.ndarray]:
        return self._predictions(batch, self.model(batch.reads))

    def evaluate(self, batch: Bags, forward: Forward) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        answers = forward(batch.reads)
        return self._losses(batch, answers), self._predictions(batch, answers)

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """Accuracy by read, region and sample, the first three tissues' share, and each tissue's figures by read."""
        likelihood, weight, true = predictions["likelihood"], predictions["weight"], predictions["true"]
        sample, region = predictions["sample"], predictions["region"]
        of_region = pooled(likelihood, weight=weight, owner=sample * (region.max() + 1) + region)
        of_sample = pooled(likelihood, weight=weight, owner=sample)
        tissue_of = dict(zip(sample.tolist(), true.tolist(), strict=True))
        true_of_region = np.array([tissue_of[owner // (region.max() + 1)] for owner in of_region[0].tolist()])
        true_of_sample = np.array([tissue_of[owner] for owner in of_sample[0].tolist()])
        found = {
            "read_accuracy": accuracy(likelihood, true, weight=weight),
            "read_top3": accuracy(likelihood, true, weight=weight, top=3),
            "region_accuracy": accuracy(of_region[1], true_of_region),
            "sample_accuracy": accuracy(of_sample[1], true_of_sample),
        }
        if "tissue" in self.weights:
            found["tissue_head_accuracy"] = accuracy(predictions["tissue"], true, weight=weight)
        figures = by_tissue(confusion(likelihood, true, weight=weight))
        for name, values in figures.items():
            found |= {f"{name}/{tissue}": float(value) for tissue, value in zip(self.tissues, values, strict=True)}
        return found

    def figures(self, predictions: dict[str, np.ndarray]) -> dict[str, Figure]:
        from ml_core.families.tissuebert.confusion_figure import draw_confusion

        matrix = confusion(predictions["likelihood"], predictions["true"], weight=predictions["weight"])
        _, summed = pooled(predictions["likelihood"], weight=predictions["weight"], owner=predictions["sample"])
        first = np.unique(predictions["sample"], return_index=True)[1]
        by_sample = confusion(summed, predictions["true"][first])
        return {"confusion": draw_confusion({"reads": matrix, "samples": by_sample}, tissues=self.tissues)}

    def _losses(self, batch: Bags, answers: Answers) -> dict[str, Tensor]:
        of_read, losses = batch.tissue[batch.bag], {}
        share = batch.weight / batch.weight.sum()
        if "tissue" in self.weights:
            smoothed = F.cross_entropy(answers.tissue, of_read, label_smoothing=self.label_smoothing, reduction="none")
            losses["tissue"] = (smoothed * share).sum()
        if "likelihood" in self.weights:
            losses["likelihood"] = (F.cross_entropy(answers.likelihood, of_read, reduction="none") * share).sum()
        if "bag" in self.weights:
            summed = answers.likelihood.new_zeros(len(batch.tissue), answers.likelihood.shape[1])
            summed = summed.index_add(0, batch.bag, answers.likelihood * batch.weight[:, None])
            losses["bag"] = F.cross_entropy(summed, batch.tissue)
        return losses

    def _predictions(self, batch: Bags, answers: Answers) -> dict[str, np.ndarray]:
        def array(values: Tensor) -> np.ndarray:
            found: np.ndarray = values.detach().cpu().numpy()
            return found

        return {
            "likelihood": array(answers.likelihood),
            "tissue": array(answers.tissue),
            "weight": array(batch.weight),
            "true": array(batch.tissue[batch.bag]),
            "sample": array(batch.sample[batch.bag]),
            "region": array(batch.reads.region),
        }
