"""Our layer against PyG's HGTConv, and against itself on parts of the graph."""

import numpy as np
import pytest
import torch

from ml_core.families.hgt.attention import attend, attend_by_scatter, structure_of
from ml_core.families.hgt.conv import HGTConv
from ml_core.families.hgt.messages import Messages, directed_relations
from ml_core.families.hgt.peer import edges_by_relation, peer_of
from tests.unit.families.hgt.graphs import RELATIONS, random_graph

CHANNELS, HEADS = 16, 4


def directed_keys(graph):
    found = []
    for index, backwards in directed_relations(graph.relations):
        of = graph.relations[index]
        found.append((of.tail, f"rev_{of.name}", of.head) if backwards else (of.head, of.name, of.tail))
    return found


@pytest.fixture
def graph():
    # No type but those that have relations: PyG leaves the others out.
    return random_graph(nodes={"disease": 12, "drug": 15, "gene/protein": 30})


def layer(graph, *, seed=0):
    torch.manual_seed(seed)
    conv = HGTConv(len(graph.node_types), len(directed_relations(graph.relations)), channels=CHANNELS, heads=HEADS)
    with torch.no_grad():  # no parameter at a value at which a mistake would not show
        for parameter in conv.parameters():
            parameter.uniform_(-0.5, 0.5)
        conv.prior.uniform_(0.5, 1.5)
        conv.skip.uniform_(-1, 1)
    return conv


def test_output_and_gradients_equal_pygs_with_the_same_weights(graph):
    messages = Messages(graph, np.arange(graph.edge_count)).whole()
    ours, keys = layer(graph), directed_keys(graph)
    theirs = peer_of(ours, keys, graph.node_types)
    x = torch.randn(graph.node_count, CHANNELS, requires_grad=True)
    weight = torch.randn_like(x)
    sizes = np.diff(graph.type_offsets).tolist()

    out = ours(x, messages)
    (out * weight).sum().backward()
    of_x, x.grad = x.grad, None
    named = dict(zip(graph.node_types, x.split(sizes), strict=True))
    peers = theirs(named, edges_by_relation(messages, keys, graph.node_types))
    peer = torch.cat([peers[name] for name in graph.node_types])
    (peer * weight).sum().backward()

    torch.testing.assert_close(out, peer, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(of_x, x.grad, rtol=1e-5, atol=1e-5)
    stacked = {
        "key_by_relation": theirs.k_rel.weight.grad.unflatten(0, (HEADS, -1)).transpose(0, 1),
        "value_by_relation": theirs.v_rel.weight.grad.unflatten(0, (HEADS, -1)).transpose(0, 1),
        "prior": torch.cat([theirs.p_rel["__".join(key)].grad for key in keys]),
        "skip": torch.cat([theirs.skip[name].grad for name in graph.node_types]),
        "out.weight": torch.stack([theirs.out_lin.lins[name].weight.grad for name in graph.node_types]),
        "query.weight": torch.stack(
            [theirs.kqv_lin.lins[name].weight.grad[CHANNELS : 2 * CHANNELS] for name in graph.node_types]
        ),
    }
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    for name, expected in stacked.items():
        torch.testing.assert_close(gradients[name], expected, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("edges", [0, 1, 40])
def test_the_kernel_and_plain_scatter_agree(edges):
    rng = np.random.default_rng(0)
    source, target = np.divmod(rng.permutation(7 * 9)[:edges], 9)
    structure = structure_of(source, target, sources=7, targets=9)
    torch.manual_seed(0)
    given = [torch.randn(2, size, 5, requires_grad=True) for size in (9, 7, 7)]
    weight = torch.randn(2, 9, 5)
    found = []
    for kernel, factor in ((attend, 1.0), (attend_by_scatter, 5**-0.5)):
        out = kernel(given[0] * factor, *given[1:], structure)
        found.append([out, *torch.autograd.grad((out * weight).sum(), given, allow_unused=True)])
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def test_every_node_has_an_output_also_one_that_hears_nothing():
    graph = random_graph(relations=RELATIONS[:1], edges=5)
    conv = layer(graph)
    x = torch.randn(graph.node_count, CHANNELS)
    out = conv(x, Messages(graph, np.arange(graph.edge_count)).whole())
    assert out.shape == x.shape
    assert torch.isfinite(out).all()
    silent = torch.tensor(list(graph.nodes_of("pathway")))
    number = graph.node_types.index("pathway")
    expected = torch.lerp(x[silent], conv.out.bias[number].expand(len(silent), -1), conv.skip[number].sigmoid())
    torch.testing.assert_close(out[silent], expected)


def test_the_order_of_edges_does_not_matter(graph):
    conv, x = layer(graph), torch.randn(graph.node_count, CHANNELS)
    keep = np.arange(0, graph.edge_count, 3)
    hidden = np.ones(graph.edge_count, bool)
    hidden[keep] = False
    built = conv(x, Messages(graph, keep).whole())
    left_over = conv(x, Messages(graph, np.arange(graph.edge_count)).without(hidden))
    torch.testing.assert_close(built, left_over)
