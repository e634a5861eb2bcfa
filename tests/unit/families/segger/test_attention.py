"""Both layouts compute what PyG's GATv2Conv computes with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GATv2Conv

from ml_core.families.segger.attention import EdgeAttention, GATv2, NeighbourAttention


def twin(ours: GATv2, *, edge_channels: int = 0) -> GATv2Conv:
    heads, width = ours.attention.shape
    sizes = (ours.source.in_features, ours.target.in_features)
    conv = GATv2Conv(sizes, width, heads=heads, add_self_loops=False, edge_dim=edge_channels or None)
    with torch.no_grad():  # its output bias starts at 0
        conv.lin_l.weight.copy_(ours.source.weight)
        conv.lin_l.bias.copy_(ours.source.bias)
        conv.lin_r.weight.copy_(ours.target.weight)
        conv.lin_r.bias.copy_(ours.target.bias)
        conv.att.copy_(ours.attention[None])
        if ours.edge is not None:
            conv.lin_edge.weight.copy_(ours.edge.weight)
    return conv


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    neighbours = torch.stack([torch.randperm(7)[:4] for _ in range(30)])
    neighbours[torch.rand(30, 4) < 0.4] = -1
    neighbours[3] = -1  # a target without any source
    return torch.randn(7, 5, requires_grad=True), torch.randn(30, 6), neighbours, torch.randn(30, 4, 3)


def edge_list(neighbours: torch.Tensor) -> torch.Tensor:
    target, slot = (neighbours >= 0).nonzero(as_tuple=True)
    return torch.stack([neighbours[target, slot], target])


@pytest.mark.parametrize("edge_channels", [0, 3])
def test_dense_neighbours_equal_pyg_forward_and_backward(inputs, edge_channels: int) -> None:
    source, target, neighbours, edge = inputs
    ours = NeighbourAttention(5, 6, channels=8, heads=2, edge_channels=edge_channels)
    conv = twin(ours, edge_channels=edge_channels)
    features = edge if edge_channels else None
    flat = edge[neighbours >= 0] if edge_channels else None
    mine = ours(source, target, neighbours, features)
    theirs = conv((source, target), edge_list(neighbours), flat)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    weights = [source, ours.attention, ours.source.weight, ours.target.weight]
    twins = [source, conv.att, conv.lin_l.weight, conv.lin_r.weight]
    if ours.edge is not None:
        weights, twins = [*weights, ours.edge.weight], [*twins, conv.lin_edge.weight]
    ours_of = torch.autograd.grad(mine.square().sum(), weights)
    theirs_of = torch.autograd.grad(theirs.square().sum(), twins)
    for of_ours, of_theirs in zip(ours_of, theirs_of, strict=True):
        torch.testing.assert_close(of_ours, of_theirs.view_as(of_ours), rtol=1e-4, atol=2e-5)
    assert torch.equal(mine[3], torch.zeros(8))


def test_an_edge_list_equals_pyg_forward_and_backward(inputs) -> None:
    source, target, neighbours, _ = inputs
    ours = EdgeAttention(5, 6, channels=8, heads=2)
    edges = edge_list(neighbours)
    mine, theirs = ours(source, target, edges), twin(ours)((source, target), edges)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(out.square().sum(), source)[0] for out in (mine, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_no_sources_and_no_edges_give_zeros() -> None:
    dense, listed = (layout(5, 6, channels=8, heads=2) for layout in (NeighbourAttention, EdgeAttention))
    assert torch.equal(dense(torch.zeros(0, 5), torch.randn(3, 6), torch.full((3, 4), -1)), torch.zeros(3, 8))
    edges = torch.zeros(2, 0, dtype=torch.long)
    assert torch.equal(listed(torch.randn(2, 5), torch.randn(3, 6), edges), torch.zeros(3, 8))
