"""From the nucleotides of an ASV to its embedding, and back to the nucleotides that were hidden."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ml_core.families.sequence.attention import AttentionPooling, Block
from ml_core.families.sequence.tokens import PAD, VOCABULARY

TOKEN_DIM = 16


class AsvEncoder(nn.Module):
    """A transformer over patches of `patch_bp` nucleotides.

    pooling "place": the embedding is linear in the states of all places, which keeps what stands where. Reads of one
    primer pair are aligned at their start, so that this says more than a mean does. "attention": a learned mean.
    """

    def __init__(
        self,
        *,
        max_bp: int,
        patch_bp: int,
        dim: int,
        layers: int,
        heads: int,
        dropout: float,
        embedding_dim: int,
        pooling: str,
        chunk: int | None,
    ) -> None:
        super().__init__()
        self.patch_bp, self.chunk = patch_bp, chunk
        self.patches = -(-(1 + max_bp) // patch_bp)
        self.token = nn.Embedding(VOCABULARY, TOKEN_DIM, padding_idx=PAD)
        self.patch = nn.Linear(TOKEN_DIM * patch_bp, dim)
        self.place = nn.Parameter(torch.randn(self.patches, dim) * 0.02)
        self.layers = nn.ModuleList(Block(dim, heads=heads, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.pool = AttentionPooling(dim) if pooling == "attention" else None
        self.read = nn.Linear(dim if self.pool else dim * self.patches, embedding_dim)
        self.read_norm = nn.LayerNorm(embedding_dim)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [u, l] -> states [u, patches, dim] of the longest, embedding [u, embedding_dim]."""
        if self.chunk is None or len(tokens) <= self.chunk:
            return self._encode(tokens)
        parts = [
            checkpoint(self._encode, part, use_reentrant=False) if torch.is_grad_enabled() else self._encode(part)
            for part in tokens.split(self.chunk)
        ]
        states, embeddings = zip(*parts, strict=True)
        return torch.cat(states), torch.cat(embeddings)

    def _encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        tokens = F.pad(tokens.long(), (0, -tokens.shape[1] % self.patch_bp), value=PAD)
        count, patches = len(tokens), tokens.shape[1] // self.patch_bp
        letters = self.token(tokens).view(count, patches, -1)  # [u, patches, patch_bp * TOKEN_DIM]
        there = (tokens != PAD).view(count, patches, -1).any(-1)
        mask = None if bool(there.all()) else there
        x = self.patch(letters) + self.place[:patches]
        for layer in self.layers:
            x = layer(x, mask)
        x = self.norm(x) * there[..., None]
        return x, self.read_norm(self._read(x, there))

    def _read(self, x: Tensor, there: Tensor) -> Tensor:
        if self.pool is not None:
            return self.read(self.pool(x, there)[0])
        missing = self.patches - x.shape[1]
        return self.read(F.pad(x, (0, 0, 0, missing)).flatten(1))


class NucleotideHead(nn.Module):
    """Which nucleotide was hidden: from the state of its patch and the embedding of the whole sequence."""

    def __init__(self, *, patches: int, patch_bp: int, dim: int, embedding_dim: int, hidden: int) -> None:
        super().__init__()
        self.patch_bp = patch_bp
        self.of_state, self.of_embedding = nn.Linear(dim, hidden), nn.Linear(embedding_dim, hidden)
        self.place = nn.Parameter(torch.randn(patches, hidden) * 0.02)
        self.norm, self.deeper = nn.LayerNorm(hidden), nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 4 * patch_bp)

    def forward(self, states: Tensor, embedding: Tensor, hidden: Tensor) -> Tensor:
        """states [u, patches, dim], embedding [u, e], hidden bool [u, l] -> logits [hidden nucleotides, 4]."""
        patches = states.shape[1]
        inside = F.pad(hidden, (0, patches * self.patch_bp - hidden.shape[1])).view(len(hidden), patches, -1)
        sequence, patch = inside.any(-1).nonzero(as_tuple=True)  # only patches that hide something
        x = F.gelu(self.of_state(states[sequence, patch]) + self.of_embedding(embedding)[sequence] + self.place[patch])
        x = x + F.gelu(self.deeper(self.norm(x)))
        return self.out(x).view(len(x), self.patch_bp, 4)[inside[sequence, patch]]
