"""Samples with their targets, rarefied anew from epoch to epoch, encoded once where the encoder is frozen."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.model import embed_asvs, known_sets
from ml_core.families.sequence.predictor import Questions, SequencePredictor
from ml_core.families.sequence.rarefaction import rarefied
from ml_core.families.sequence.samples import LIMIT, RAREFACTION, make_sets
from ml_core.families.sequence.tokens import tokenize


def rarefactions_of(table: SampleTable, rows: np.ndarray, *, count: int) -> list[sparse.csr_matrix]:
    """`count` rarefactions [n, a] of these samples: the table's own first, then others by seeds after the table's."""
    whole, names = table.whole[rows].tocsr(), table.sample_ids[rows]
    further = (rarefied(whole, sample_ids=names, depth=table.depth, seed=table.seed + draw) for draw in range(1, count))
    return [table.counts[rows].tocsr(), *further]


def cached_embeddings(
    model: SequencePredictor, table: SampleTable, draws: list[sparse.csr_matrix], *, limit: int
) -> Tensor:
    """Sample embeddings [draws, n, width] of rarefactions [n, a] each, every ASV that occurs encoded once."""
    used = np.unique(np.concatenate([each.indices for each in draws]))
    asvs = embed_asvs(model.base, tokenize(table.sequences[used], max_bp=model.base.max_bp))
    model.eval()
    with torch.no_grad():
        near = model.neighbourhoods(asvs)
        of_draw = []
        for draw in draws:
            parts = known_sets(draw[:, used].tocsr(), limit=limit)
            of_draw.append(torch.cat([model.embed(asvs[sets.asv], near[sets.asv], sets) for sets in parts]))
    return torch.stack(of_draw)


class PredictorSamples:
    """Questions about samples: with `cached` embeddings [draws, n, width], or with the sets that are to be encoded.

    Training draws one of the rarefactions for each sample and epoch; `fixed` samples always have the first.
    """

    def __init__(
        self,
        table: SampleTable,
        rows: np.ndarray,
        *,
        answer: np.ndarray,
        covariates: np.ndarray,
        draws: list[sparse.csr_matrix],
        cached: Tensor | None,
        max_bp: int,
        limit: int,
        fixed: bool,
    ) -> None:
        self.rows, self.answer, self.covariates, self.draws = rows, answer, covariates, draws
        self.cached, self.limit, self.fixed = cached, limit, fixed
        self.tokens = tokenize(table.sequences, max_bp=max_bp) if cached is None else None
        self.richness = np.log(np.maximum([np.diff(each.indptr) for each in draws], 1)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Questions:
        draw = np.array([self._draw(int(index), seed=seed, epoch=epoch) for index in indices], np.int64)
        sets = None
        if self.tokens is not None:
            counts = sparse.vstack([self.draws[d][[i]] for d, i in zip(draw, indices, strict=True)], format="csr")
            rngs = None if self.fixed else [np.random.default_rng([seed, epoch, int(i), LIMIT]) for i in indices]
            sets = make_sets(counts, self.tokens, limit=self.limit, rngs=rngs)
        return Questions(
            embedding=None if self.cached is None else self.cached[draw, indices],
            sets=sets,
            answer=torch.from_numpy(self.answer[indices]),
            covariates=torch.from_numpy(self.covariates[indices]),
            richness=torch.from_numpy(self.richness[draw, indices]),
        )

    def _draw(self, index: int, *, seed: int, epoch: int) -> int:
        if self.fixed or len(self.draws) == 1:
            return 0
        return int(np.random.default_rng([seed, epoch, index, RAREFACTION]).integers(len(self.draws)))
