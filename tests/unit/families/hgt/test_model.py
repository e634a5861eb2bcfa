"""What an embedding is made of, and what the network knows before it has learnt anything."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ml_core.families.hgt.conv import TypedLinear
from ml_core.families.hgt.data import Relation
from ml_core.families.hgt.messages import Messages
from ml_core.families.hgt.model import HGT
from tests.unit.families.hgt.graphs import random_graph
from tests.unit.families.hgt.test_samples import prepared


def test_an_embedding_is_what_the_node_is_and_what_it_has_heard():
    training = prepared()
    model, messages = training.task.model.eval(), training.train.messages
    with torch.no_grad():
        z = model(messages.whole())
    torch.testing.assert_close(z[:, :12], model.embedding.vector.weight)
    assert z.size(1) == model.width == model.decoder.size(1) == 20


def test_random_vectors_are_no_part_of_an_embedding():
    model = prepared(node_features="random").task.model
    assert model.width == model.hidden_dim
    assert not model.embedding.vector.weight.requires_grad


def test_vectors_say_nothing_at_first_of_a_relation_that_they_are_not_taught():
    training = prepared(vector_edges=38)
    taught = torch.tensor(training.train.by_vectors)
    assert taught.any()
    assert not taught.all()
    own = training.task.model.decoder[:, :12]
    assert (own[taught] == 1).all()
    assert (own[~taught] == 0).all()
    assert (training.task.model.decoder[:, 12:] > 0).all()


def test_before_training_a_drug_and_a_disease_with_the_same_genes_are_alike():
    """Layers begin as means of neighbours, whatever the relation: what two hear from one gene is one thing."""
    graph = random_graph(
        nodes={"drug": 60, "disease": 60, "gene/protein": 60},
        relations=[Relation("targets", "drug", "gene/protein"), Relation("associated", "disease", "gene/protein")],
        edges=240,
    )
    messages = Messages(graph, np.arange(graph.edge_count))
    torch.manual_seed(0)
    model = HGT(
        type_offsets=messages.type_offsets,
        relations=2,
        directed_relations=4,
        embedding_dim=256,
        hidden_dim=256,
        num_layers=1,
        num_heads=2,
        dropout=0.0,
    ).eval()
    with torch.no_grad():
        unit = torch.nn.functional.normalize(model(messages.whole())[:, 256:], dim=1)
    genes = [set(graph.tail[graph.head == node].tolist()) for node in range(120)]
    shared = np.array([[len(genes[drug] & genes[disease]) > 0 for disease in range(60, 120)] for drug in range(60)])
    assert roc_auc_score(shared.ravel(), (unit[:60] @ unit[60:120].T).numpy().ravel()) > 0.6


@pytest.mark.parametrize(("channels", "out"), [(8, 8), (8, 12)])
def test_maps_of_types_begin_as_one_that_keeps_likeness(channels, out):
    linear = TypedLinear(2, channels, out)
    linear.start_alike()
    x = torch.randn(6, channels)
    with torch.no_grad():
        y = linear(x, [0, 3, 6])
    torch.testing.assert_close(y @ y.T, x @ x.T, rtol=1e-4, atol=1e-4)
