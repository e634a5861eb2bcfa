"""A pre-norm transformer block that is quick on a CPU: plain matrix products, no mask where nothing is padded."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ml_core.layers.attention import HIDDEN_LOGIT, attention
from ml_core.layers.feed_forward import feed_forward
from ml_core.layers.products import linear


class Block(nn.Module):
    """Self-attention and a feed-forward network of four times the width, each behind a LayerNorm, each added.

    Width and heads of the seed are 128 and 4; `docs/performance.md` says why attention is written out.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """x [b, t, dim]; there bool [b, t], the places that may be attended to (None: all)."""
        parts = linear(self.norm_attention(x), self.query_key_value)
        x = x + self.dropout(linear(attention(parts, there, heads=self.heads), self.out))
        return x + self.dropout(feed_forward(self.norm_feed(x), self.widen, self.narrow))


class AttentionPooling(nn.Module):
    """A weighted mean over a set, the weights a softmax of one learned question."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.question = nn.Linear(dim, 1)

    def forward(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """x [b, t, dim], there bool [b, t] -> pooled [b, dim] and weights [b, t], 0 where nothing is there."""
        logits = self.question(x).squeeze(-1).masked_fill(~there, HIDDEN_LOGIT)
        weight = torch.softmax(logits, dim=-1) * there
        return torch.bmm(weight[:, None], x).squeeze(1), weight
