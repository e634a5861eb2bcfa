"""The transformer: `torch.nn.TransformerEncoder` to within rounding, in a form that is quicker on a CPU.

At 150 places two matrix products and a softmax beat PyTorch's fused attention there; `bench/encoder.py` measures it.
"""

from __future__ import annotations

from torch import Tensor, nn

from ml_core.layers.attention import attention
from ml_core.layers.feed_forward import feed_forward
from ml_core.layers.products import linear
from ml_core.layers.residual import add_dropped


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network with GELU, each added to its input.

    norm_first False: LayerNorm behind each sum, as in BERT; True: ahead of each part. Parameters have the meaning, and
    the order within a matrix, of `torch.nn.TransformerEncoderLayer`.
    """

    def __init__(self, dim: int, *, heads: int, feed_dim: int, dropout: float, norm_first: bool) -> None:
        super().__init__()
        self.heads, self.norm_first, self.dropout = heads, norm_first, dropout
        self.query_key_value, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, feed_dim), nn.Linear(feed_dim, dim)
        self.norm_attention, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        nn.init.xavier_uniform_(self.query_key_value.weight)
        for bias in (self.query_key_value.bias, self.out.bias):
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """x [b, t, dim]; there bool [b, t], the places that may be attended to (None: all) -> [b, t, dim]."""
        if self.norm_first:
            x = self._add(x, self._attend(self.norm_attention(x), there))
            return self._add(x, self._feed(self.norm_feed(x)))
        x = self.norm_attention(self._add(x, self._attend(x, there)))
        normed: Tensor = self.norm_feed(self._add(x, self._feed(x)))
        return normed

    def _attend(self, x: Tensor, there: Tensor | None) -> Tensor:
        parts = linear(x, self.query_key_value)
        return linear(attention(parts, there, heads=self.heads, dropout=self._chance), self.out)

    def _feed(self, x: Tensor) -> Tensor:
        return feed_forward(x, self.widen, self.narrow, dropout=self._chance)

    def _add(self, x: Tensor, part: Tensor) -> Tensor:
        return add_dropped(x, part, dropout=self._chance)

    @property
    def _chance(self) -> float:
        return self.dropout if self.training else 0.0


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
