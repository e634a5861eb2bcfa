"""The same weights and edges in PyG's HGTConv: what ours is tested and timed against. Nothing else needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ml_core.families.hgt.conv import HGTConv
from ml_core.families.hgt.messages import MessageGraph

if TYPE_CHECKING:
    from torch_geometric.nn import HGTConv as PyGHGTConv


Key = tuple[str, str, str]  # source type, relation, target type


def edges_by_relation(graph: MessageGraph, relations: list[Key], types: list[str]) -> dict[Key, Tensor]:
    """PyG's edge_index [2, e] of each directed relation, numbered within its types; `relations` in our order."""
    first = dict(zip(types, graph.type_offsets[:-1], strict=True))
    row = torch.repeat_interleave(torch.arange(len(relations)), torch.tensor(graph.row_offsets).diff())
    of = row[graph.structure.source.long()]
    source, target = graph.row_node[graph.structure.source.long()], graph.structure.target.long()
    return {
        key: torch.stack([source[of == number] - first[key[0]], target[of == number] - first[key[2]]])
        for number, key in enumerate(relations)
    }


def peer_of(ours: HGTConv, relations: list[Key], types: list[str]) -> PyGHGTConv:
    """PyG's layer with our layer's weights."""
    from torch_geometric.nn import HGTConv as PyGHGTConv

    channels = ours.query.weight.size(1)
    peer = PyGHGTConv(channels, channels, (types, relations), heads=ours.heads)
    with torch.no_grad():
        for number, name in enumerate(types):
            parts = [ours.key, ours.query, ours.value]
            peer.kqv_lin.lins[name].weight.copy_(torch.cat([part.weight[number] for part in parts]))
            peer.kqv_lin.lins[name].bias.copy_(torch.cat([part.bias[number] for part in parts]))
            peer.out_lin.lins[name].weight.copy_(ours.out.weight[number])
            peer.out_lin.lins[name].bias.copy_(ours.out.bias[number])
            peer.skip[name].copy_(ours.skip[number : number + 1])
        for number, key in enumerate(relations):
            peer.p_rel["__".join(key)].copy_(ours.prior[number : number + 1])
        # There [heads * relations, depth, depth], heads outermost.
        peer.k_rel.weight.copy_(ours.key_by_relation.transpose(0, 1).flatten(0, 1))
        peer.v_rel.weight.copy_(ours.value_by_relation.transpose(0, 1).flatten(0, 1))
    return peer
