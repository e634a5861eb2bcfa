"""A pre-norm transformer block that is quick on a CPU: plain matrix products, no mask where nothing is padded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN_LOGIT = -1e4  # of what must not be attended to: finite, so that fp16 and fully padded rows stay finite


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
        x = x + self.dropout(self.out(self._attend(self.norm_attention(x), there)))
        return x + self.dropout(self.narrow(F.gelu(self.widen(self.norm_feed(x)))))

    def _attend(self, x: Tensor, there: Tensor | None) -> Tensor:
        batch, places, dim = x.shape
        each = (batch * self.heads, places, dim // self.heads)
        query, key, value = (
            part.view(batch, places, self.heads, -1).transpose(1, 2).reshape(each)  # [b * heads, t, dim / heads]
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        logits = torch.bmm(query * each[-1] ** -0.5, key.transpose(1, 2))  # [b * heads, t, t]
        if there is not None:
            by_head = logits.view(batch, self.heads, places, places)
            logits = by_head.masked_fill(~there[:, None, None], HIDDEN_LOGIT).view_as(logits)
        mixed = torch.bmm(torch.softmax(logits, dim=-1), value)
        return mixed.view(batch, self.heads, places, -1).transpose(1, 2).reshape(batch, places, dim)


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
