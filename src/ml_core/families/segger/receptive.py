"""Which transcripts a layer must compute: those that a judged one still hears from through the layers after it.

A judged transcript hears its neighbours after one layer and theirs after two; a nucleus hears its own transcripts. Of
the last layer only the judged ones are asked, and they are a tenth of a training tile.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Batch = dict[str, Tensor]


class ReceptiveField(NamedTuple):
    """The transcripts of a batch by the number of layers after which they are heard, and how many each layer needs.

    batch: `samples.Batch` with t' <= t transcripts, the judged first; what no layer hears is gone. counts: of the
    input, and of each layer's output; the first so many are needed there.
    """

    batch: Batch
    counts: list[int]


def receptive_field(batch: Batch, *, layers: int) -> ReceptiveField:
    """The part of the batch that `layers` rounds of messages to the judged transcripts and all nuclei involve."""
    if not layers:
        return whole(batch, layers=layers)
    neighbours = batch["neighbours"]
    heard = torch.zeros(len(neighbours) + 1, dtype=torch.bool, device=neighbours.device)  # the last stands for -1
    asked, found = batch["judged"], list[Tensor]()
    for layer in range(layers + 1):
        before = heard.clone()
        heard[asked] = True
        if layer == 1:  # the nuclei hear their transcripts in the last layer and in all before
            heard[batch["belongs"][0]] = True
        found.append((heard[:-1] & ~before[:-1]).nonzero()[:, 0])
        asked = neighbours.index_select(0, found[-1]).flatten()
    order = torch.cat(found)
    counts = torch.tensor([len(each) for each in found]).cumsum(0).tolist()[::-1]
    return ReceptiveField(_in_order(batch, order), counts)


def whole(batch: Batch, *, layers: int) -> ReceptiveField:
    """All transcripts in every layer, which gives the judged ones the same."""
    return ReceptiveField(batch, [len(batch["token"])] * (layers + 1))


def _in_order(batch: Batch, order: Tensor) -> Batch:
    """The batch with these transcripts only, in this order; a neighbour that is not among them is none."""
    place = torch.full((len(batch["token"]) + 1,), -1, dtype=torch.long, device=order.device)  # the last stands for -1
    place[order] = torch.arange(len(order), device=order.device)
    at, to = batch["belongs"]
    return batch | {
        **{name: batch[name].index_select(0, order) for name in ("token", "step", "candidates", "approach")},
        "neighbours": place[batch["neighbours"].index_select(0, order)],
        "belongs": torch.stack([place[at], to]),
        "judged": place[batch["judged"]],
    }
