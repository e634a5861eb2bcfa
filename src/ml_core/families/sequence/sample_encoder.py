"""From the ASVs of a sample and their abundances to what the sample is: which clades it has, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.sequence.attention import AttentionPooling, Block

READS_SCALE = 10.0  # one read of a rarefied sample then counts 2.4, a thousand 9.2: presence says most


@dataclass(frozen=True)
class EncodedSamples:
    """**Shapes**, n samples, s slots, m clades: logit [n, s, m], how far an ASV is of a clade; reads [n, s], 0 in empty
    slots; pooled [n, dim]; attention [n, s], the weight of each ASV in `pooled`."""

    logit: Tensor
    reads: Tensor
    pooled: Tensor
    attention: Tensor

    @property
    def members(self) -> Tensor:
        """[n, s, m] in [0, 1], 0 in empty slots."""
        return torch.sigmoid(self.logit) * (self.reads > 0)[..., None]

    @cached_property
    def presence(self) -> Tensor:
        """[n, m], the chance that some ASV of the sample is of the clade: 1 - prod(1 - members)."""
        return -torch.expm1(-(F.softplus(self.logit) * (self.reads > 0)[..., None]).sum(1))

    @cached_property
    def share(self) -> Tensor:
        """[n, m], the clade's share of the reads."""
        return summed(self.reads / self.reads.sum(1, keepdim=True).clamp_min(1), self.members)

    @property
    def abundance(self) -> Tensor:
        """[n, m], log reads of the clade's ASVs, summed."""
        return summed(log_reads(self.reads), self.members)


def log_reads(reads: Tensor) -> Tensor:
    """The weight of an ASV with so many reads; 0 for none."""
    return torch.log1p(READS_SCALE * reads)


def summed(weight: Tensor, members: Tensor) -> Tensor:
    """weight [n, s], members [n, s, m] -> their weighted sum over slots, [n, m]."""
    return torch.bmm(weight[:, None], members).squeeze(1)


class SampleEncoder(nn.Module):
    """A transformer over the ASVs of a sample, without their order, and soft clades that they belong to.

    An ASV belongs to a clade with sigma(logit); a sample has it unless none of its ASVs does: 1 - prod(1 - sigma).
    So the presence of branches that UniFrac is made of is in the embedding itself, and learnt.
    """

    def __init__(self, *, embedding_dim: int, dim: int, layers: int, heads: int, dropout: float, clades: int) -> None:
        super().__init__()
        self.asv = nn.Linear(embedding_dim, dim)
        self.count = nn.Sequential(nn.Linear(1, dim), nn.GELU(), nn.Linear(dim, dim))
        self.layers = nn.ModuleList(Block(dim, heads=heads, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.pool = AttentionPooling(dim)
        self.clade = nn.Linear(embedding_dim, clades)
        nn.init.normal_(self.clade.weight, std=2.5 * embedding_dim**-0.5)  # an ASV begins in few clades, each its own:
        nn.init.constant_(self.clade.bias, -7.0)  # then samples differ from the first step on
        self.context = nn.Linear(dim, clades)
        nn.init.zeros_(self.context.weight)
        nn.init.zeros_(self.context.bias)

    def forward(self, embedding: Tensor, slot: Tensor, reads: Tensor) -> EncodedSamples:
        """embedding [u, e] of the unique ASVs; slot [n, s] int64 into them; reads [n, s], 0 where a slot is empty."""
        there = reads > 0
        mask = None if bool(there.all()) else there
        x = self.asv(embedding)[slot] * (1 + self.count(torch.log1p(reads)[..., None]))  # [n, s, dim]
        for layer in self.layers:
            x = layer(x, mask)
        x = self.norm(x)
        pooled, attention = self.pool(x, there)
        return EncodedSamples(self.clade(embedding)[slot] + self.context(x), reads, pooled, attention)


class UnifracHead(nn.Module):
    """Distance of two samples from their clades, in the form of UniFrac with learned branch lengths.

    unweighted: 1 - <u, v> / (<u, u> + <v, v> - <u, v>) of presence; weighted_normalized: sum |p - q| / sum (p + q) of
    shares; each clade counts its length. Identical samples have 0, those without a common clade 1.
    """

    def __init__(self, clades: int, *, metric: str) -> None:
        super().__init__()
        self.metric = metric
        self.log_length = nn.Parameter(torch.zeros(clades))

    def forward(self, samples: EncodedSamples, other: EncodedSamples | None = None) -> Tensor:
        """Distances [n, k] from n samples to k others (None: to themselves)."""
        other = samples if other is None else other
        length = F.softplus(self.log_length)
        if self.metric == "unweighted":
            shared = (samples.presence * length) @ other.presence.T
            own, theirs = (each.presence.square() @ length for each in (samples, other))
            return 1 - shared / (own[:, None] + theirs[None, :] - shared).clamp_min(1e-9)
        apart = torch.stack([(row - other.share).abs() @ length for row in samples.share])
        own, theirs = (each.share @ length for each in (samples, other))
        return apart / (own[:, None] + theirs[None, :]).clamp_min(1e-9)
