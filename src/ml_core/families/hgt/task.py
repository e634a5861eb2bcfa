"""What is learnt, and how validation judges it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ml_core.families.hgt.collapse import collapse
from ml_core.families.hgt.contrastive import contrastive_loss
from ml_core.families.hgt.data import Relation
from ml_core.families.hgt.loss import link_loss
from ml_core.families.hgt.model import HGT
from ml_core.families.hgt.ranking import ranks
from ml_core.families.hgt.samples import Batch, Piece
from ml_core.training.task import Forward, Task


class HGTTask(Task):
    """Two loss terms.

    link: cross entropy of each target's true node among its negatives, a mean over targets of both sides.
    contrastive: SupCon of the nodes that share training neighbours, a mean over anchors.
    """

    checkpointed = ("layers.*",)

    def __init__(
        self,
        model: HGT,
        *,
        relations: list[Relation],
        node_types: list[str],
        type_offsets: list[int],
        contrastive_weight: float,
        temperature: float,
        chunk: int,
    ) -> None:
        self.model, self.relations, self.node_types, self.type_offsets = model, relations, node_types, type_offsets
        self.weights = {"contrastive": contrastive_weight}
        self.temperature, self.chunk, self.contrasts = temperature, chunk, contrastive_weight > 0

    @property
    def scorer(self) -> Any:
        """The model, for its `decoder` [relations, f] and `scale`; controls put another in its place."""
        return self.model

    def counts(self, batch: Batch) -> dict[str, int]:
        counted = {"link": sum(link.count for piece in batch for link in piece.links)}
        if self.contrasts:
            counted["contrastive"] = sum(len(each.anchor) for piece in batch for each in piece.contrasts)
        return counted

    def losses(self, batch: Batch, forward: Forward) -> dict[str, Tensor]:
        return self._losses(batch, [forward(piece.graph) for piece in batch])

    def predictions(self, batch: Batch) -> dict[str, np.ndarray]:
        return self._predictions(batch, [self.model(piece.graph) for piece in batch])

    def evaluate(self, batch: Batch, forward: Forward) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        encoded = [forward(piece.graph) for piece in batch]
        return self._losses(batch, encoded), self._predictions(batch, encoded)

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """Filtered MRR of each relation and their mean; effective rank and within-type cosine of each type."""
        relation, reciprocal = predictions["relation"], 1 / predictions["rank"]
        of_relation = {
            f"mrr.{self.relations[index].name}": float(reciprocal[relation == index].mean())
            for index in np.unique(relation)
        }
        found = {"mrr": float(np.mean(list(of_relation.values()))), **of_relation}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # types of one node have no shape
            shape = np.nanmean(predictions["shape"], axis=0)
        for number, name in enumerate(self.node_types):
            if np.isfinite(shape[number]).all():
                found[f"effective_rank.{name}"], found[f"within_cosine.{name}"] = map(float, shape[number])
        return found

    def _losses(self, batch: Batch, encoded: list[Tensor]) -> dict[str, Tensor]:
        """Means of the pieces, each in the share of its targets."""
        counts = self.counts(batch)
        losses: dict[str, Tensor] = {}
        for term, of_piece in (("link", self._link), ("contrastive", self._contrastive)):
            if counts.get(term):
                summed = [of_piece(z, piece) for z, piece in zip(encoded, batch, strict=True)]
                losses[term] = torch.stack(summed).sum() / counts[term]
        return losses

    def _link(self, z: Tensor, piece: Piece) -> Tensor:
        decoder = self.scorer.decoder[:, : z.size(1)]  # vectors alone have the first part of an embedding
        return link_loss(z, decoder, piece.links, scale=self.scorer.scale, chunk=self.chunk)

    def _contrastive(self, z: Tensor, piece: Piece) -> Tensor:
        each = [contrastive_loss(z, c, temperature=self.temperature) * len(c.anchor) for c in piece.contrasts]
        return sum(each, start=z.new_zeros(()))

    def _predictions(self, batch: Batch, encoded: list[Tensor]) -> dict[str, np.ndarray]:
        rank, relation, shape = [np.zeros((0, 2))], [np.zeros(0, np.int64)], []
        for z, piece in zip(encoded, batch, strict=True):
            shape.append(collapse(z, self.type_offsets if piece.graph is None else piece.graph.type_offsets))
            for link in piece.links:
                rank.append(ranks(z.detach(), self.scorer.decoder.detach()[:, : z.size(1)], link, chunk=self.chunk))
                relation.append(np.full(link.count, link.relation))
        return {"rank": np.concatenate(rank), "relation": np.concatenate(relation), "shape": np.stack(shape)}
