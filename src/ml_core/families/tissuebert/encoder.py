"""The transformer: `torch.nn.TransformerEncoder` to within rounding, in a form that is quicker on a CPU.

At 150 places two matrix products and a softmax beat PyTorch's fused attention there; `bench/encoder.py` measures it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.tissuebert.dropout import Dropout

HIDDEN_LOGIT = -1e4  # of places that must not be attended to: finite, so that a row without any place stays finite


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network with GELU, each added to its input.

    norm_first False: LayerNorm behind each sum, as in BERT; True: ahead of each part. Parameters have the meaning, and
    the order within a matrix, of `torch.nn.TransformerEncoderLayer`.
    """

    def __init__(self, dim: int, *, heads: int, feed_dim: int, dropout: float, norm_first: bool) -> None:
        super().__init__()
        self.heads, self.norm_first = heads, norm_first
        self.query_key_value, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, feed_dim), nn.Linear(feed_dim, dim)
        self.norm_attention, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.drop_weights = Dropout(dropout)
        self.drop = Dropout(dropout, inplace=True)
        nn.init.xavier_uniform_(self.query_key_value.weight)
        for bias in (self.query_key_value.bias, self.out.bias):
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """x [b, t, dim]; there bool [b, t], the places that may be attended to (None: all) -> [b, t, dim]."""
        if self.norm_first:
            x = x + self._attend(self.norm_attention(x), there)
            return x + self._feed(self.norm_feed(x))
        x = self.norm_attention(x + self._attend(x, there))
        return self.norm_feed(x + self._feed(x))

    def _feed(self, x: Tensor) -> Tensor:
        return self.drop(self.narrow(self.drop(F.gelu(self.widen(x)))))

    def _attend(self, x: Tensor, there: Tensor | None) -> Tensor:
        batch, places, dim = x.shape
        parts = self.query_key_value(x).view(batch, places, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).reshape(3, batch * self.heads, places, -1).unbind(0)
        with torch.autocast(x.device.type, enabled=False):  # softmax would be taken back to fp32
            logits = torch.bmm(query * math.sqrt(self.heads / dim), key.transpose(1, 2))  # [b * heads, t, t]
            if there is not None:
                by_head = logits.view(batch, self.heads, places, places)
                logits = by_head.masked_fill(~there[:, None, None], HIDDEN_LOGIT).view_as(logits)
            mixed = torch.bmm(self.drop_weights(torch.softmax(logits, dim=-1)), value)
        mixed = mixed.view(batch, self.heads, places, -1).transpose(1, 2).reshape(batch, places, dim)
        return self.drop(self.out(mixed))


class Encoder(nn.Module):
    """Layers, one upon the other; norm_first adds a LayerNorm at the end."""

    def __init__(
        self, dim: int, *, layers: int, heads: int, feed_dim: int, dropout: float, norm_first: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(dim, heads=heads, feed_dim=feed_dim, dropout=dropout, norm_first=norm_first)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """x [b, t, dim], there bool [b, t] or None -> [b, t, dim]."""
        for layer in self.layers:
            x = layer(x, there)
        normed: Tensor = self.norm(x)
        return normed
