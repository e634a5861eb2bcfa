"""The same weights in `torch.nn.TransformerEncoder`: what tests and benchmarks compare the encoder with."""

from __future__ import annotations

import torch
from torch import nn

from ml_core.families.tissuebert.encoder import Encoder, EncoderLayer


def as_stock(encoder: Encoder, *, dropout: float) -> nn.TransformerEncoder:
    """PyTorch's encoder with a copy of the weights; called with `src_key_padding_mask=~there`."""
    first = encoder.layers[0]
    assert isinstance(first, EncoderLayer)
    layer = nn.TransformerEncoderLayer(
        first.out.in_features,
        first.heads,
        first.widen.out_features,
        dropout,
        activation="gelu",
        batch_first=True,
        norm_first=first.norm_first,
    )
    norm = nn.LayerNorm(first.out.in_features) if first.norm_first else None
    stock = nn.TransformerEncoder(layer, len(encoder.layers), norm=norm, enable_nested_tensor=False)
    with torch.no_grad():
        for ours, theirs in zip(encoder.layers, stock.layers, strict=True):
            assert isinstance(ours, EncoderLayer)
            assert isinstance(theirs, nn.TransformerEncoderLayer)
            for mine, other in _pairs(ours, theirs):
                other.copy_(mine)
        if norm is not None:
            stock.norm.load_state_dict(encoder.norm.state_dict())
    return stock


def _pairs(ours: EncoderLayer, theirs: nn.TransformerEncoderLayer) -> list[tuple[nn.Parameter, nn.Parameter]]:
    attention = theirs.self_attn
    modules = (
        (ours.out, attention.out_proj),
        (ours.widen, theirs.linear1),
        (ours.narrow, theirs.linear2),
        (ours.norm_attention, theirs.norm1),
        (ours.norm_feed, theirs.norm2),
    )
    pairs = [(ours.query_key_value.weight, attention.in_proj_weight)]
    pairs.append((ours.query_key_value.bias, attention.in_proj_bias))
    for mine, other in modules:
        pairs += list(zip(mine.parameters(), other.parameters(), strict=True))
    return pairs
