"""The layers of the ASV encoder alone, forward and backward, beside nn.TransformerEncoder with the same weights.

Like for like: the same sequences, none padded, a token for each nucleotide, no dropout on either side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.bench.case import Request, Row
from ml_core.bench.turns import Contender, cheaper, take_turns
from ml_core.families.sequence.attention import Block

FULL, QUICK = (200, 150, 128, 4), (8, 20, 16, 1)  # sequences, nucleotides, width, layers
HEADS = 4
PASSES = 3  # forward, and backward for inputs and for weights
OURS, STOCK = "ml_core", "nn.TransformerEncoder"
AGREEMENT = 1e-4


def rows(request: Request) -> list[Row]:
    sizes = QUICK if request.quick else FULL
    ours, stock = take_turns(
        [Contender(name, step_of, (name, *sizes)) for name in (OURS, STOCK)], rounds=request.rounds
    )
    apart = float(np.abs(ours.answers[0] - stock.answers[0]).max())
    assert apart < AGREEMENT, f"outputs differ by {apart:.1e}"
    reached = step_gflop(*sizes) / ours.cpu_seconds
    note = f"outputs within {apart:.0e}; {reached:.0f} GFLOP/s of matrix products"
    what = "ASV encoder's layers, forward and backward, {} sequences of {} bp, width {}, {} layers".format(*sizes)
    return [cheaper(what, ours, stock, least=3, note=note)]


def step_gflop(sequences: int, length: int, dim: int, layers: int) -> float:
    """Of the matrix products of a step: 12 dim^2 weights of a layer at each place, and its attention."""
    return PASSES * layers * 2 * sequences * length * (12 * dim * dim + 2 * length * dim) / 1e9


def step_of(name: str, sequences: int, length: int, dim: int, layers: int) -> Callable[[], np.ndarray]:
    torch.manual_seed(0)
    blocks = nn.ModuleList(Block(dim, heads=HEADS, dropout=0.0) for _ in range(layers))
    x = torch.randn(sequences, length, dim)
    module: nn.Module = nn.Sequential(*blocks) if name == OURS else as_stock(blocks, dim=dim)
    module.train()

    def step() -> np.ndarray:
        module.zero_grad(set_to_none=True)
        out: Tensor = module(x)
        out.square().mean().backward()  # type: ignore[no-untyped-call]
        return out[:4].detach().numpy()

    return step


def as_stock(blocks: nn.ModuleList, *, dim: int) -> nn.TransformerEncoder:
    """PyTorch's encoder with a copy of the weights."""
    layer = nn.TransformerEncoderLayer(
        dim, HEADS, 4 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    stock = nn.TransformerEncoder(layer, len(blocks), enable_nested_tensor=False)
    for ours, theirs in zip(blocks, stock.layers, strict=True):
        assert isinstance(ours, Block)
        assert isinstance(theirs, nn.TransformerEncoderLayer)
        theirs.self_attn.in_proj_weight.data.copy_(ours.query_key_value.weight)
        theirs.self_attn.in_proj_bias.data.copy_(ours.query_key_value.bias)
        for mine, other in (
            (ours.out, theirs.self_attn.out_proj),
            (ours.widen, theirs.linear1),
            (ours.narrow, theirs.linear2),
            (ours.norm_attention, theirs.norm1),
            (ours.norm_feed, theirs.norm2),
        ):
            other.load_state_dict(mine.state_dict())
    return stock
