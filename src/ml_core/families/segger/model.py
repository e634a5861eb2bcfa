"""The network: GATv2 over transcripts and nuclei, and a decoder that scores candidate nuclei."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.segger.attention import EdgeAttention, NeighbourAttention
from ml_core.families.segger.pairs import GEOMETRY, PAIR
from ml_core.families.segger.receptive import Batch, receptive_field, whole

SHAPE = 5  # geometry.FEATURES
NO_CANDIDATE = -30.0  # log weight of a padded pair


class Decoded(NamedTuple):
    """What the decoder says of r judged transcripts and p nuclei each.

    weight [r, p]: unnormalised log chance that the transcript comes from there, before its own gene is known (padded
    pairs have NO_CANDIDATE). ambient [r, p]: logit of the share of stray RNA in that nucleus' surroundings.
    background [r]: the same as weight for "from no nucleus".
    """

    weight: Tensor
    ambient: Tensor
    background: Tensor


class Layer(nn.Module):
    """One round of messages: tx to tx, nucleus to tx, tx to nucleus; with skip connections and LayerNorm."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.tx_tx = NeighbourAttention(width, width, channels=width, heads=heads, edge_channels=3)
        self.bd_tx = NeighbourAttention(width, width, channels=width, heads=heads, edge_channels=GEOMETRY + 2)
        self.tx_bd = EdgeAttention(width, width, channels=width, heads=heads)
        self.skip_tx, self.skip_bd = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_tx, self.norm_bd = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tx: Tensor, bd: Tensor, batch: Batch, asked: int) -> tuple[Tensor, Tensor]:
        """tx [t, width], bd [b, width] -> the first `asked` transcripts [asked, width], [b, width]."""
        here = tx[:asked]
        heard = self.tx_tx(tx, here, batch["neighbours"][:asked], batch["step"][:asked])
        heard = heard + self.bd_tx(bd, here, batch["candidates"][:asked], batch["approach"][:asked])
        told = self.tx_bd(tx, bd, batch["belongs"])
        tx = self.norm_tx(self.skip_tx(here) + self.dropout(F.elu(heard)))
        bd = self.norm_bd(self.skip_bd(bd) + self.dropout(F.elu(told)))
        return tx, bd


class Segger(nn.Module):
    """Sizes as in the seed: embedding 16, hidden 64 (all heads together), 3 GATv2 layers, out 32, 4 heads.

    The first and the last layer are linear maps: as GATv2 layers (the seed's reading) a step costs 1.6x as much; what
    they would gain was not measured.

    `genes` tokens, and one more for a hidden or unknown gene (`mask`).
    """

    def __init__(
        self,
        genes: int,
        *,
        init_emb: int = 16,
        hidden_channels: int = 64,
        num_mid_layers: int = 3,
        out_channels: int = 32,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.mask = genes
        self.field = receptive_field
        self.token = nn.Embedding(genes + 1, init_emb)
        self.register_buffer("shape_mean", torch.zeros(SHAPE))
        self.register_buffer("shape_std", torch.ones(SHAPE))
        self.tx_in = nn.Linear(init_emb, hidden_channels)
        self.bd_in = nn.Linear(init_emb + SHAPE, hidden_channels)
        self.layers = nn.ModuleList(Layer(hidden_channels, heads=heads, dropout=dropout) for _ in range(num_mid_layers))
        self.tx_out = nn.Linear(hidden_channels, out_channels)
        self.bd_out = nn.Linear(hidden_channels, out_channels)
        self.from_tx = nn.Linear(out_channels, 32, bias=False)
        self.from_bd = nn.Linear(out_channels, 32, bias=False)
        self.from_pair = nn.Linear(PAIR + 1, 32)
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
        self.nowhere = nn.Sequential(nn.Linear(PAIR, 16), nn.ReLU(), nn.Linear(16, 1))
        nn.init.constant_(self.decoder[-1].bias[1:], -3.0)  # little stray RNA to begin with

    def standardise(self, shapes: Tensor) -> None:
        """Take mean and spread of the nuclei's shape features [b, SHAPE] from the training split."""
        self.shape_mean.copy_(shapes.mean(0))
        self.shape_std.copy_(shapes.std(0).clamp_min(1e-3))

    def embed(self, batch: Batch, counts: list[int]) -> tuple[Tensor, Tensor]:
        """Embeddings after all layers: counts[-1] transcripts and all nuclei, [.., out]; see `ReceptiveField`."""
        token = self.token(batch["token"])  # [t, init_emb]
        shape = (batch["nucleus_shape"] - self.shape_mean) / self.shape_std
        at, to = batch["belongs"]
        inside = shape.new_zeros(len(shape), token.shape[1]).index_add(0, to, F.embedding(at, token).to(shape.dtype))
        count = shape.new_zeros(len(shape)).index_add(0, to, torch.ones_like(to, dtype=shape.dtype))
        tx = F.elu(self.tx_in(token))
        bd = F.elu(self.bd_in(torch.cat([inside / count.clamp_min(1)[:, None], shape], dim=1)))
        for layer, asked in zip(self.layers, counts[1:], strict=True):
            tx, bd = layer(tx, bd, batch, asked)
        return self.tx_out(tx), self.bd_out(bd)

    def forward(self, batch: Batch) -> Decoded:
        """Score the judged transcripts' pairs; shapes of `batch` as in `samples.TileSamples`."""
        field = whole if torch.compiler.is_compiling() else self.field  # sizes that depend on values break a graph
        batch, counts = field(batch, layers=len(self.layers))
        tx, bd = self.embed(batch, counts)
        nuclei, pair = batch["pair_nucleus"], batch["pair"]  # [r, p], [r, p, features]
        here = F.embedding(batch["judged"], tx)  # [r, out]
        there = F.embedding(nuclei.clamp_min(0), bd) if len(bd) else here.new_zeros(*nuclei.shape, tx.shape[1])
        alike = (here[:, None] * there).sum(-1, keepdim=True) / 5
        mixed = self.from_pair(torch.cat([pair, alike.to(pair.dtype)], dim=-1))
        out = self.decoder(mixed + self.from_tx(here)[:, None] + self.from_bd(there)).float()
        weight = out[..., 0].masked_fill(nuclei < 0, NO_CANDIDATE)
        return Decoded(weight, out[..., 1], self.nowhere(pair[:, 0]).float().squeeze(-1))


def with_gene(decoded: Decoded, ratio: Tensor) -> Tensor:
    """Log weight of each pair after the transcript's own gene is known, [r, p].

    A nucleus' surroundings hold a share e of stray RNA: p(gene) = (1 - e) p(gene | nucleus) + e p(gene), so that a
    foreign gene costs at most log e. ratio [r, p] = log p(gene | nucleus) / p(gene).
    """
    known = torch.logaddexp(F.logsigmoid(-decoded.ambient) + ratio, F.logsigmoid(decoded.ambient))
    return torch.where(decoded.weight <= NO_CANDIDATE, decoded.weight, decoded.weight + known)


def own_rna(decoded: Decoded, ratio: Tensor) -> Tensor:
    """Log weight of each pair for a transcript of the nucleus' own cell, stray RNA left out, [r, p].

    What only lies in a nucleus' surroundings is no reason to put it into that cell.
    """
    known = F.logsigmoid(-decoded.ambient) + ratio
    return torch.where(decoded.weight <= NO_CANDIDATE, decoded.weight, decoded.weight + known)
