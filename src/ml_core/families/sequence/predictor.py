"""SequencePredictor: an encoder, and heads for the target on top of its sample embedding."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ml_core.families.sequence.covariates import GatedFusion
from ml_core.families.sequence.model import SequenceEncoder
from ml_core.families.sequence.neighbourhoods import Neighbourhoods
from ml_core.families.sequence.sample_encoder import log_reads, summed
from ml_core.families.sequence.samples import Sets


@dataclass(frozen=True)
class Questions:
    """Samples whose target is asked for. **Shapes**, n samples: embedding [n, width] where the base is frozen, else
    sets; answer [n] float32 standardised or int64 class; covariates [n, columns] int64; richness [n] float32, log ASVs.
    """

    embedding: Tensor | None
    sets: Sets | None
    answer: Tensor
    covariates: Tensor
    richness: Tensor


@dataclass(frozen=True)
class Replies:
    """target [members, n, outputs]; richness [n], or None without that head."""

    target: Tensor
    richness: Tensor | None


class Head(nn.Sequential):
    """Hidden layers with dropout behind each, then the outputs. With much dropout, deep was better than wide."""

    def __init__(self, width: int, *, hidden: int, layers: int, outputs: int, dropout: float, input_dropout: float):
        parts: list[nn.Module] = [nn.Dropout(input_dropout)]
        for layer in range(layers):
            parts += [nn.Linear(hidden if layer else width, hidden), nn.GELU(), nn.Dropout(dropout)]
        super().__init__(*parts, nn.Linear(hidden if layers else width, outputs))


class SequencePredictor(nn.Module):
    """`members` heads see the same embedding and are averaged: an ensemble for the price of its heads.

    The sample embedding has three parts: abundance of the soft clades, what the sample transformer pools, and the
    neighbourhoods that its ASVs are in, weighted by log reads. Each is centred and divided by one number, which
    `standardise` takes from training samples. Dividing each channel by its own would lift those that hardly vary.
    """

    def __init__(
        self,
        base: SequenceEncoder,
        *,
        outputs: int,
        landmarks: int,
        channels: int,
        sharpness: float,
        members: int,
        hidden: int,
        head_layers: int,
        head_dropout: float,
        input_dropout: float,
        categories: dict[str, list[str]],
        count_head: bool,
    ) -> None:
        super().__init__()
        self.base = base
        self.neighbourhoods = Neighbourhoods(
            embedding_dim=base.embedding_dim, landmarks=landmarks, channels=channels, sharpness=sharpness
        )
        self.ends = [0, base.clades, base.clades + base.dim, base.clades + base.dim + channels]
        width = self.ends[-1]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.fusion = GatedFusion(width, categories) if categories else None
        self.heads = nn.ModuleList(
            Head(
                width,
                hidden=hidden,
                layers=head_layers,
                outputs=outputs,
                dropout=head_dropout,
                input_dropout=input_dropout,
            )
            for _ in range(members)
        )
        self.count = nn.Linear(width, 1) if count_head else None

    def draw_heads(self) -> None:
        """Begin anew with everything but the base and the neighbourhoods."""
        for name, part in self.named_children():
            if name not in ("base", "neighbourhoods"):
                for each in part.modules():
                    if hasattr(each, "reset_parameters"):
                        each.reset_parameters()

    def standardise(self, embedding: Tensor) -> None:
        """Set mean and scale from embeddings [n, width] of training samples."""
        self.mean.copy_(embedding.mean(0))
        spread = embedding.var(0, unbiased=False)
        for start, stop in pairwise(self.ends):
            self.scale[start:stop] = spread[start:stop].mean().sqrt().clamp_min(1e-6)

    def embed(self, asvs: Tensor, near: Tensor, sets: Sets) -> Tensor:
        """Sample embeddings [n, width] from those of the ASVs of the sets, [u, embedding_dim], and their
        neighbourhoods, [u, channels]."""
        encoded = self.base.sample(asvs, sets.slot, sets.reads)
        return torch.cat([encoded.abundance, encoded.pooled, summed(log_reads(sets.reads), near[sets.slot])], dim=1)

    def forward(self, questions: Questions) -> Replies:
        embedding = questions.embedding
        if embedding is None:
            assert questions.sets is not None
            asvs = self.base.asv(questions.sets.tokens)[1]
            embedding = self.embed(asvs, self.neighbourhoods(asvs), questions.sets)
        x = (embedding - self.mean) / self.scale
        if self.fusion is not None:
            x = self.fusion(x, questions.covariates)
        target = torch.stack([head(x) for head in self.heads])  # [members, n, outputs]
        return Replies(target, None if self.count is None else self.count(x).squeeze(1))
