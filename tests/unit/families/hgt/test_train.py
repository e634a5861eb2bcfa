"""The stage's parts around the loop: memory, parity, features, controls, embeddings on disk."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from ml_core.errors import UserError
from ml_core.families.hgt.controls import train_controls
from ml_core.families.hgt.embedding_arrays import Embeddings, load_arrays, save_arrays
from ml_core.families.hgt.embeddings import write_csv, write_table
from ml_core.families.hgt.features import read_features
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.leaning import fit_leaning
from ml_core.families.hgt.memory import advice, estimate
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.parity import compare_devices
from ml_core.families.hgt.train import prepare_on
from tests.unit.families.hgt.graphs import random_graph, random_splits
from tests.unit.families.hgt.test_samples import SMALL, prepared

QUIET = {"tensorboard": False, "progress_bar": False, "device": "cpu", "threads": 1}


def test_controls_have_the_models_shapes_and_the_constant_ones_nodes_begin_alike(tmp_path):
    graph = random_graph()
    settings = ModelSettings(**{**SMALL, **QUIET, "max_epochs": 2, "contrastive_weight": 0.1})
    found = train_controls(graph, random_splits(graph), settings, constant_share=0.05, work=tmp_path)
    assert set(found) == {"distmult", "untrained", "constant"}
    for name, control in found.items():
        width = 12 if name == "distmult" else 12 + 8
        assert control.embeddings.shape == (graph.node_count, width)
        assert control.decoder.shape == (len(graph.relations), width)
        assert np.isfinite(control.embeddings).all()
    pathways = found["constant"].embeddings[list(graph.nodes_of("pathway"))]  # they hear nothing
    assert np.ptp(pathways, axis=0).max() < 1e-5
    assert np.ptp(found["untrained"].embeddings[list(graph.nodes_of("pathway"))], axis=0).min() > 1e-3


def test_parity_compares_a_step_with_itself_and_leaves_the_model_alone():
    training = prepared()
    before = {name: value.clone() for name, value in training.task.model.state_dict().items()}
    found = compare_devices(training.task, training.train, device=torch.device("cpu"))
    assert found["parity.agrees"]
    assert found["parity.relative_difference"] == 0
    after = training.task.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in training.task.model.parameters())


def test_advice_on_memory_names_settings_but_no_dimension():
    training = prepared()
    settings = training.train.settings
    memory = estimate(training.train, training.task.model, settings)
    text = advice(memory, available_gb=0.1, settings=settings)
    assert "mode: neighbours" in text
    assert "gradient_checkpointing: true" in text
    assert not any(name in text for name in ("hidden_dim", "embedding_dim", "num_layers", "num_heads"))


@pytest.mark.parametrize("change", [{"hidden_dim": 64}, {"embedding_dim": 64}, {"num_layers": 4}])
def test_the_estimate_grows_with_what_needs_memory(change):
    totals = []
    for settings in ({}, change):
        training = prepared(**settings)
        totals.append(estimate(training.train, training.task.model, training.train.settings).total_gb)
    assert totals[1] > totals[0]


def table(graph, **changes):
    frame = graph.nodes[["node_type", "node_id"]].iloc[:20].copy()
    frame["embedding"] = [[float(number), 1.0, -float(number)] for number in range(20)]
    return frame.assign(**changes)


def test_features_stand_in_the_graphs_order_and_are_zero_for_others(tmp_path):
    graph = random_graph()
    table(graph).sample(frac=1, random_state=0).to_parquet(tmp_path / "features.parquet")
    found = read_features(tmp_path / "features.parquet", graph)
    assert found.shape == (graph.node_count, 3)
    assert not found[20:].any()
    assert torch.all(found[:20, 0].diff() > 0)
    assert found[:20, 0].std(unbiased=False) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda frame: frame.drop(columns="embedding"), "no column 'embedding'"),
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), "more than once"),
        (lambda frame: frame.assign(node_id="nobody").iloc[:1], "none of the graph's nodes"),
        (lambda frame: frame.assign(embedding=[[1.0] * (1 + row % 2) for row in range(20)]), "2 lengths"),
        (lambda frame: frame.assign(embedding=[[float("nan")]] * 20), "not finite"),
    ],
)
def test_features_that_do_not_fit_are_refused_in_a_sentence(tmp_path, spoil, sentence):
    graph = random_graph()
    spoil(table(graph)).to_parquet(tmp_path / "features.parquet")
    with pytest.raises(UserError, match=sentence):
        read_features(tmp_path / "features.parquet", graph)


def test_features_reach_the_embeddings(tmp_path):
    graph = random_graph()
    table(graph).to_parquet(tmp_path / "features.parquet")
    settings = ModelSettings(**SMALL, features=str(tmp_path / "features.parquet"))
    training = prepare_on(graph, random_splits(graph), settings)
    model = training.task.model.eval()
    with torch.no_grad():
        before = model(training.train.messages.whole())
        model.embedding.features.zero_()
        assert not torch.allclose(before, model(training.train.messages.whole()))


def test_embeddings_come_back_from_disk_and_into_the_seeds_csv(tmp_path):
    graph = random_graph()
    rng = np.random.default_rng(0)
    z, decoder = (
        rng.normal(size=size).astype(np.float32) for size in ((graph.node_count, 4), (len(graph.relations), 4))
    )
    leaning = fit_leaning(graph, random_splits(graph), EmbeddingJudge(graph, z, decoder, 0.5))
    made = Embeddings(z, decoder, 0.5, leaning)
    save_arrays(tmp_path, made)
    write_table(tmp_path, made, graph)
    write_csv(tmp_path / "embeddings.csv", made, graph)
    back = load_arrays(tmp_path)
    np.testing.assert_array_equal(back.embeddings, made.embeddings)
    assert back.scale == 0.5
    for relation in range(len(graph.relations)):
        there, kept = made.judge(graph).factors(relation), back.judge(graph).factors(relation)
        np.testing.assert_array_equal(there.head, kept.head)
        np.testing.assert_array_equal(there.tail, kept.tail)
    parquet = pd.read_parquet(tmp_path / "embeddings.parquet")
    np.testing.assert_array_equal(np.stack(parquet["embedding"]), made.embeddings)
    csv = pd.read_csv(tmp_path / "embeddings.csv", dtype=str)
    assert list(csv) == ["node_id", "node_name", "node_type", "embedding"]
    np.testing.assert_allclose(np.stack(csv["embedding"].map(json.loads)), made.embeddings, rtol=1e-5)


def test_an_unknown_relation_in_the_weights_is_refused():
    with pytest.raises(UserError, match="has no relation 'treats'"):
        prepared(relation_weights={"treats": 2.0})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hidden_dim": 30}, "cannot be shared out"),
        ({"mode": "neighbours", "neighbours": [3]}, "one for each of num_layers"),
        ({"target_share": 1.0}, "no edge to send messages"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        ModelSettings.parse(values, where="test")
