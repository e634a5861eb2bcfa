"""What an epoch hides, what it shows, and what counts as wrong."""

import dataclasses

import numpy as np
import pytest
import torch

from ml_core.families.hgt.contrastive import contrastive_loss, similar_pairs
from ml_core.families.hgt.inference import encode
from ml_core.families.hgt.known import Known
from ml_core.families.hgt.messages import directed_relations
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.settings import SplitsSettings
from ml_core.families.hgt.splits import hold_out
from ml_core.families.hgt.train import hidden_targets, prepare_on
from tests.unit.families.hgt.graphs import random_graph, random_splits

SMALL = {
    "embedding_dim": 12,
    "hidden_dim": 8,
    "num_heads": 2,
    "slices": 4,
    "negatives": 6,
    "batch_size": 4,
    "vector_share": 0.0,
}


def prepared(**changes):
    graph = random_graph()
    return prepare_on(graph, random_splits(graph), ModelSettings(**{**SMALL, **changes}))


def sent_pairs(piece):
    """(source, target) of all messages, in the numbers of the whole graph."""
    graph = piece.graph
    node = torch.arange(graph.node_count) if graph.node is None else graph.node
    row = graph.structure.source.long()
    return set(zip(node[graph.row_node[row]].tolist(), node[graph.structure.target.long()].tolist(), strict=True))


@pytest.mark.parametrize("mode", ["full", "edges", "neighbours"])
def test_under_a_holdout_a_disease_hears_all_of_its_drugs_or_none_and_is_asked_for_where_it_hears_none(mode):
    graph = random_graph()
    splits = hold_out(graph, settings=SplitsSettings(kind="disease_holdout"))
    samples = prepare_on(graph, splits, ModelSettings(**{**SMALL, "mode": mode, "neighbours": [50, 50]})).train
    own = splits.edges_in("train")
    own = own[graph.relation_of[own] == graph.relation_index("indication")]
    hearing = []
    for epoch in range(6):
        for index in range(len(samples)):
            (piece,) = samples.fetch(np.array([index]), seed=0, epoch=epoch)
            sent = sent_pairs(piece)
            node = np.arange(graph.node_count) if piece.graph.node is None else piece.graph.node.numpy()
            there = own[np.isin(graph.head[own], node) & np.isin(graph.tail[own], node)]
            heard = {int(edge): (int(graph.head[edge]), int(graph.tail[edge])) in sent for edge in there}
            for disease in np.unique(graph.tail[there]):
                mine = {heard[int(edge)] for edge in there[graph.tail[there] == disease]}
                assert len(mine) == 1
                hearing += mine
            asked = next((each for each in piece.links if each.relation == graph.relation_index("indication")), None)
            for answer in [] if asked is None else node[asked.tails.answer.numpy()]:
                assert not any(heard[int(edge)] for edge in there[graph.tail[there] == answer])
    assert 0.1 < 1 - np.mean(hearing) < 0.6


@pytest.mark.parametrize("mode", ["full", "edges", "neighbours"])
@pytest.mark.parametrize("epoch", [0, 3])
def test_no_target_sends_a_message_in_either_direction(mode, epoch):
    samples = prepared(mode=mode).train
    relations = samples.graph.relations
    for piece in samples.fetch(np.arange(len(samples)), seed=0, epoch=epoch):
        graph = piece.graph
        node = torch.arange(graph.node_count) if graph.node is None else graph.node
        row = np.repeat(np.arange(len(directed_relations(relations))), np.diff(graph.row_offsets))
        source = graph.structure.source.numpy()
        ends = zip(node[graph.row_node[source]].tolist(), node[graph.structure.target.long()].tolist(), strict=True)
        sent = set()
        for number, (left, right) in zip(row[source], ends, strict=True):
            relation, backwards = directed_relations(relations)[number]
            sent.add((relation, right, left) if backwards else (relation, left, right))
        assert sent
        for links in piece.links:
            heads = node[links.tails.asking[links.tails.row]].tolist()
            tails = node[links.tails.answer].tolist()
            for head, tail in zip(heads, tails, strict=True):
                assert (links.relation, head, tail) not in sent
                assert not relations[links.relation].symmetric or (links.relation, tail, head) not in sent
    assert hidden_targets(samples, seed=epoch) == 0


def test_the_leak_check_sees_a_target_that_was_not_hidden():
    samples = prepared().train
    drawn = samples.epoch(seed=0, epoch=0)
    samples._drawn = (0, 0), dataclasses.replace(drawn, graph=samples.messages.whole())
    assert hidden_targets(samples, seed=0) == 2 * len(np.concatenate(drawn.targets))  # every one, either way


def test_held_out_edges_neither_send_nor_are_targets():
    graph = random_graph()
    splits = random_splits(graph)
    training = prepare_on(graph, splits, ModelSettings(**SMALL))
    held = np.flatnonzero(splits.part != 0)
    assert not np.isin(training.train.messages.edge, held).any()
    for epoch in range(3):
        assert not np.isin(np.concatenate(training.train.epoch(seed=0, epoch=epoch).targets), held).any()


def test_negatives_are_of_the_right_type_and_known_pairs_do_not_count():
    samples = prepared().train
    graph = samples.graph
    train = set(zip(samples.edges, strict=True))
    assert train
    for links in samples.fetch(np.arange(4), seed=0, epoch=0)[0].links:
        of, edges = graph.relations[links.relation], samples.of_relation[links.relation]
        pairs = set(zip(graph.head[edges].tolist(), graph.tail[edges].tolist(), strict=True))
        for question, side, kind in ((links.tails, 0, of.tail), (links.heads, 1, of.head)):
            assert {graph.node_types[t] for t in graph.node_type[question.other]} == {kind}
            hits = set(zip(*question.hit.tolist(), strict=True))
            for i, asking in enumerate(question.asking.tolist()):
                for j, other in enumerate(question.other.tolist()):
                    pair = (asking, other) if side == 0 else (other, asking)
                    known = pair in pairs or (of.symmetric and pair[::-1] in pairs) or asking == other
                    assert ((i, j) in hits) == known


@pytest.mark.parametrize("mode", ["full", "edges", "neighbours"])
def test_a_batch_is_a_pure_function_of_seed_epoch_and_sample(mode):
    def fetched(samples, index, epoch):
        (piece,) = samples.fetch(np.array([index]), seed=5, epoch=epoch)
        return sent_pairs(piece), [(link.tails.asking.tolist(), link.tails.other.tolist()) for link in piece.links]

    first, second = prepared(mode=mode).train, prepared(mode=mode).train
    forwards = [fetched(first, index, epoch) for epoch in (0, 1) for index in (0, 2)]
    backwards = [fetched(second, index, epoch) for epoch in (1, 0) for index in (2, 0)]
    assert forwards == backwards[::-1]
    assert forwards[0] != forwards[2]


def test_all_training_edges_are_targets_in_the_long_run():
    samples = prepared(target_share=0.4).train
    seen = [np.concatenate(samples.epoch(seed=0, epoch=epoch).targets) for epoch in range(25)]
    assert set(np.concatenate(seen)) == set(samples.edges)


def test_slices_deal_out_the_targets_once():
    samples = prepared().train
    drawn = samples.epoch(seed=0, epoch=0)
    counted = sum(
        link.count for index in range(4) for link in samples.fetch(np.array([index]), seed=0, epoch=0)[0].links
    )
    assert counted == sum(map(len, drawn.targets))


def test_weights_of_targets_lift_small_relations_and_keep_the_sum():
    equal, lifted = (prepared(relation_balance=balance).train.epoch(seed=0, epoch=0) for balance in (0.0, 1.0))
    counts = np.array([len(each) for each in lifted.targets])
    assert equal.weights == pytest.approx(np.ones(len(counts)))
    assert lifted.weights * counts == pytest.approx(np.full(len(counts), counts.sum() / len(counts)))


def test_a_neighbourhood_with_room_for_all_encodes_like_the_whole_graph():
    """Budgets that no node exceeds: the seeds' embeddings are those of the full graph without the slice's targets."""
    training = prepared(mode="neighbours", neighbours=[10_000, 10_000])
    samples, model = training.train, training.task.model.eval()
    (piece,) = samples.fetch(np.array([1]), seed=0, epoch=0)
    targets = [each[1 :: len(samples)] for each in samples.epoch(seed=0, epoch=0).targets]
    hidden = np.zeros(samples.graph.edge_count, bool)
    hidden[np.concatenate(targets)] = True
    with torch.no_grad():
        part, whole = model(piece.graph), model(samples.messages.without(hidden))
    for links in piece.links:
        for nodes in (links.tails.asking, links.tails.answer, links.heads.other):
            torch.testing.assert_close(part[nodes], whole[piece.graph.node[nodes]], rtol=1e-4, atol=1e-5)


def test_a_neighbourhood_keeps_to_its_budget():
    samples = prepared(mode="neighbours", neighbours=[2, 1]).train
    seeds = np.arange(samples.graph.node_count)
    _, edges = samples.sampler.sample(seeds, [2], hidden=np.zeros(0, np.int64), rng=np.random.default_rng(0))
    messages = samples.messages
    group = messages.target[edges].astype(np.int64) * 100 + messages.row_relation[messages.source_row[edges]]
    _, counts = np.unique(group, return_counts=True)
    assert counts.max() == 2


@pytest.mark.parametrize("nodes_per_chunk", [1, 7, 1000])
def test_chunked_inference_equals_the_whole_forward_pass(nodes_per_chunk):
    training = prepared()
    model, messages = training.task.model.eval(), training.train.messages
    with torch.no_grad():
        whole = model(messages.whole())
    torch.testing.assert_close(encode(model, messages, nodes_per_chunk=nodes_per_chunk), whole, rtol=1e-4, atol=1e-5)


def test_pairs_alike_are_those_of_the_jaccard_index_of_training_neighbours():
    graph = random_graph(edges=80)
    edges = random_splits(graph).edges_in("train")
    found = similar_pairs(graph, edges, of="disease", by="gene/protein", threshold=0.1).toarray()
    of = graph.relation_index("associated")
    own = [e for e in edges if graph.relation_of[e] == of]
    sets = [{int(graph.tail[e]) for e in own if graph.head[e] == disease} for disease in graph.nodes_of("disease")]
    for i, left in enumerate(sets):
        for j, right in enumerate(sets):
            jaccard = len(left & right) / len(left | right) if left | right else 0
            assert found[i, j] == (i != j and jaccard > 0.1)


def test_the_contrastive_loss_is_that_of_its_formula():
    samples = prepared(contrastive_weight=1.0, similarity_threshold=0.02).train
    (piece,) = samples.fetch(np.arange(4), seed=0, epoch=0)
    z = torch.randn(samples.graph.node_count, 8, generator=torch.Generator().manual_seed(0))
    assert piece.contrasts
    for contrast in piece.contrasts:
        unit = torch.nn.functional.normalize(z[contrast.batch], dim=1)
        expected = []
        for number, anchor in enumerate(contrast.anchor.tolist()):
            others = [j for j in range(len(unit)) if j != anchor]
            total = torch.logsumexp(torch.stack([unit[anchor] @ unit[j] / 0.3 for j in others]), 0)
            mates = contrast.positive[1][contrast.positive[0] == number].tolist()
            expected.append(torch.stack([total - unit[anchor] @ unit[j] / 0.3 for j in mates]).mean())
        found = contrastive_loss(z, contrast, temperature=0.3)
        torch.testing.assert_close(found, torch.stack(expected).mean())


def test_known_pairs_of_a_relation_within_one_type_include_each_node_itself():
    graph = random_graph()
    known = Known(graph, np.zeros(0, np.int64))
    rows, columns = known.hits(graph.relation_index("similar"), 0, np.arange(5), np.arange(15))
    assert rows.tolist() == columns.tolist() == list(range(5))


def test_vectors_are_taught_alone_at_first_by_the_relations_that_are_large_enough():
    training = prepared(vector_share=0.5, max_epochs=4, vector_edges=38, mode="edges", edge_sample_size=10_000)
    samples = training.train
    counts = [len(own) for own in samples.of_relation]
    assert min(counts) < 38 <= max(counts)
    for epoch, alone in enumerate([True, True, False, False]):
        (piece,) = samples.fetch(np.arange(4), seed=0, epoch=epoch)
        assert (piece.graph is None) == alone
        asked = {links.relation: 0 for links in piece.links}
        for links in piece.links:
            asked[links.relation] += links.count
        whole = {number: count for number, count in enumerate(counts) if count >= 38}
        assert asked == whole if alone else set(asked) == {i for i, count in enumerate(counts) if count}
        width = training.task.model(piece.graph).size(1)
        assert width == (12 if alone else 12 + 8)


def test_small_relations_send_all_that_is_not_hidden():
    samples = prepared(message_share=0.2, message_whole=38).train
    drawn = samples.epoch(seed=0, epoch=0)
    relation = np.repeat(np.arange(len(drawn.graph.row_offsets) - 1), np.diff(drawn.graph.row_offsets))
    sent = np.bincount(relation[drawn.graph.structure.source.numpy()], minlength=len(drawn.graph.row_offsets) - 1)
    for number, own in enumerate(samples.of_relation):
        left = len(own) - len(drawn.targets[number])
        ways = 2 if samples.graph.relations[number].symmetric else 1
        assert (sent[number] == ways * left) == (len(own) <= 38 or left == 0)
