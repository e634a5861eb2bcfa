"""SequenceEncoder: from sequences and reads to samples, distances and hidden nucleotides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from ml_core.families.sequence.asv_encoder import AsvEncoder, NucleotideHead
from ml_core.families.sequence.sample_encoder import EncodedSamples, SampleEncoder, UnifracHead
from ml_core.families.sequence.samples import Block, Sets, make_sets, trimmed


@dataclass(frozen=True)
class Answers:
    """distances [n, n] between the samples of a block, nucleotides [hidden, 4] as logits."""

    distances: Tensor
    nucleotides: Tensor


class SequenceEncoder(nn.Module):
    """An ASV transformer, a sample transformer on top of it, and the two heads that pretraining needs.

    Each ASV of a batch is encoded once, however many samples have it.
    """

    def __init__(
        self,
        *,
        max_bp: int,
        metric: str,
        dim: int,
        asv_layers: int,
        sample_layers: int,
        heads: int,
        dropout: float,
        patch_bp: int,
        pooling: str,
        embedding_dim: int,
        clades: int,
        nucleotide_hidden: int,
        asv_chunk_size: int | None = None,
    ) -> None:
        super().__init__()
        width: dict[str, Any] = {"dim": dim, "heads": heads, "dropout": dropout, "embedding_dim": embedding_dim}
        self.asv = AsvEncoder(
            max_bp=max_bp, patch_bp=patch_bp, layers=asv_layers, pooling=pooling, chunk=asv_chunk_size, **width
        )
        self.sample = SampleEncoder(layers=sample_layers, clades=clades, **width)
        self.unifrac = UnifracHead(clades, metric=metric)
        self.nucleotide = NucleotideHead(
            patches=self.asv.patches, patch_bp=patch_bp, dim=dim, embedding_dim=embedding_dim, hidden=nucleotide_hidden
        )
        self.max_bp = max_bp
        self.dim, self.clades, self.embedding_dim = dim, clades, embedding_dim

    def forward(self, block: Block) -> Answers:
        states, embedding = self.asv(block.masked)
        nucleotides = self.nucleotide(states, embedding, block.hidden)
        if block.clean:
            embedding = self.asv(block.sets.tokens)[1]
        encoded = self.sample(embedding, block.sets.slot, block.sets.reads)
        return Answers(self.unifrac(encoded), nucleotides)


@torch.no_grad()
def embed_asvs(model: SequenceEncoder, tokens: np.ndarray, *, batch: int = 256) -> Tensor:
    """[a, embedding_dim] of tokens [a, l], `batch` at a time, in eval mode."""
    model.eval()
    parts = [tokens[start : start + batch] for start in range(0, len(tokens), batch)]
    return torch.cat([model.asv(torch.from_numpy(trimmed(part)))[1] for part in parts])


def known_sets(counts: sparse.csr_matrix, *, limit: int, batch: int = 32) -> Iterator[Sets]:
    """Rows of counts [n, a], `batch` at a time, as sets without tokens: of ASVs whose embeddings are known."""
    nothing = np.zeros((counts.shape[1], 1), np.uint8)
    for start in range(0, counts.shape[0], batch):
        yield make_sets(counts[start : start + batch], nothing, limit=limit, rngs=None)


@torch.no_grad()
def embed_samples(
    model: SequenceEncoder, counts: sparse.csr_matrix, asvs: Tensor, *, limit: int
) -> Iterator[EncodedSamples]:
    """Samples, the rows of counts [n, a], some at a time, from the embeddings of all ASVs [a, embedding_dim]."""
    model.eval()
    for sets in known_sets(counts, limit=limit):
        yield model.sample(asvs[sets.asv], sets.slot, sets.reads)
