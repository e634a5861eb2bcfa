"""The network: bases and states of a region through a transformer, to a tissue and to likelihoods."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ml_core.families.tissuebert.batches import Reads
from ml_core.families.tissuebert.dropout import Dropout
from ml_core.families.tissuebert.encoder import Encoder
from ml_core.families.tissuebert.likelihood_head import LikelihoodHead
from ml_core.families.tissuebert.tokens import NO_CPG, PAD, STATES, VOCABULARY, WINDOW_BP


class Answers(NamedTuple):
    """tissue [n, tissues]: logits of the tissue head; likelihood [n, tissues] float32: log p(read | tissue, region)."""

    tissue: Tensor
    likelihood: Tensor


class TissueBert(nn.Module):
    """Sizes of the seed: width 512, 6 layers, 8 heads, 2,048 within the feed-forward networks, dropout 0.1."""

    def __init__(
        self,
        *,
        tissues: int,
        regions: int,
        dim: int,
        layers: int,
        heads: int,
        feed_dim: int,
        dropout: float,
        norm_first: bool,
        region_embedding: bool,
        region_rank: int,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, dim, padding_idx=PAD)
        self.state = nn.Embedding(STATES, dim)
        self.place = nn.Embedding(WINDOW_BP, dim)
        self.region = nn.Embedding(regions, dim) if region_embedding else None
        self.norm, self.drop = nn.LayerNorm(dim), Dropout(dropout)
        self.encoder = Encoder(
            dim, layers=layers, heads=heads, feed_dim=feed_dim, dropout=dropout, norm_first=norm_first
        )
        self.summarise = nn.Linear(dim, dim)
        self.tissue = nn.Linear(dim, tissues)
        self.likelihood = LikelihoodHead(dim, regions=regions, tissues=tissues, region_rank=region_rank)
        for table in (self.token, self.state, self.place, self.region):
            if table is not None:
                nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.token.weight[PAD] = 0

    def forward(self, reads: Reads) -> Answers:
        """Heads see the masked mean over all places, through a linear layer and tanh."""
        there = (reads.token != PAD) | (reads.state != NO_CPG)  # [n, l]
        x = self.token(reads.token.long()) + self.state(reads.state.long()) + self.place(reads.place.long())
        if self.region is not None:
            x = x + self.region(reads.region)[:, None]
        x = self.encoder(self.drop(self.norm(x)), None if bool(there.all()) else there)
        known = there.to(x.dtype)
        mean = torch.bmm(known[:, None], x).squeeze(1) / known.sum(1, keepdim=True).clamp(min=1)
        summary = torch.tanh(self.summarise(mean))
        return Answers(self.tissue(summary).float(), self.likelihood(summary, reads))
