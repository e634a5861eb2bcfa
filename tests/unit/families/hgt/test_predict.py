"""Predictions leave known pairs out, name what they rest on, and encode a new node as the network would have."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import spearmanr

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.hgt import fold_in as fold_in_module
from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, save_graph, save_splits
from ml_core.families.hgt.embedding_arrays import Embeddings, save_arrays
from ml_core.families.hgt.flows import attention_by_layer, edges_of, states
from ml_core.families.hgt.fold_in import NewEdges, fold_in, jaccard, read_edges
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.leaning import fit_leaning
from ml_core.families.hgt.messages import Messages, directed_relations
from ml_core.families.hgt.model import HGT
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.predict import answer
from ml_core.families.hgt.report_settings import PredictSettings
from ml_core.families.hgt.train import prepare_on
from ml_core.summary import Summary
from ml_core.training.checkpoint import WEIGHTS
from ml_core.training.trainer import fit
from tests.unit.families.hgt.planted import planted
from tests.unit.families.hgt.tiny import tiny_graph, tiny_splits


@dataclasses.dataclass(frozen=True)
class Made:
    """An untrained network on the planted graph, as artifacts."""

    folder: Path
    graph: KnowledgeGraph
    splits: EdgeSplits
    messages: Messages
    model: HGT

    def ask(self, **question: object) -> Summary:
        artifacts = {name: Artifact(self.folder / name) for name in ("graph", "splits", "model", "embeddings")}
        return answer(PredictSettings(**question), artifacts)


SIZES = {
    "embedding_dim": 12,
    "hidden_dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "dropout": 0.0,
    "decoder": "distmult",
    "node_features": "learned",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, small = tmp_path_factory.mktemp("hgt"), planted()
    graph, splits = small.graph, small.splits
    messages = Messages(graph, splits.edges_in("train"))
    torch.manual_seed(0)
    counts = {"relations": len(graph.relations), "directed_relations": len(directed_relations(graph.relations))}
    model = HGT(type_offsets=messages.type_offsets, **counts, **SIZES).eval()
    torch.nn.init.normal_(model.decoder)
    for name in ("graph", "splits", "model", "embeddings"):
        (folder / name).mkdir()
    save_graph(folder / "graph", graph)
    save_splits(folder / "splits", splits)
    save_file(model.state_dict(), folder / "model" / WEIGHTS)
    description = {
        "sizes": SIZES,
        "type_offsets": messages.type_offsets,
        "relations": [relation.key for relation in graph.relations],
        "directed_relations": counts["directed_relations"],
        "feature_channels": 0,
    }
    (folder / "model" / "model.json").write_text(json.dumps(description))
    with torch.no_grad():
        z = model(messages.whole())
    decoder = model.decoder.detach().numpy()
    leaning = fit_leaning(graph, splits, EmbeddingJudge(graph, z.numpy(), decoder, model.scale))
    leaning.strength[0] = 0.5, 2.0
    found = Embeddings(z.numpy(), decoder, model.scale, leaning)
    save_arrays(folder / "embeddings", found)
    return Made(folder, graph, splits, messages, model)


def pairs_of(made: Made, relation: int = 0) -> set[tuple[int, int]]:
    edges = made.graph.edges_of(relation)
    return set(zip(made.graph.head[edges].tolist(), made.graph.tail[edges].tolist(), strict=True))


def test_known_pairs_of_every_split_are_left_out_and_the_rest_is_in_order_of_score(made: Made) -> None:
    rows = made.ask(disease="DI:3", top=1000).tables["Predictions"]
    drugs = {int(str(row["id"]).split(":")[1]) for row in rows}
    assert drugs == set(range(60)) - {drug for drug, disease in pairs_of(made) if disease == 63}
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))


def test_scores_are_the_decoders_in_both_directions(made: Made) -> None:
    z = np.load(made.folder / "embeddings" / "embeddings.npy")
    weight = made.model.decoder.detach().numpy()[0] * made.model.scale
    training = made.splits.edges_in("train")
    drug, disease = (
        np.log1p(int((side[training][made.graph.relation_of[training] == 0] == node).sum()))
        for side, node in ((made.graph.head, 7), (made.graph.tail, 63))
    )
    of_disease = {row["id"]: row["score"] for row in made.ask(disease="DI:3", top=1000, paths=0).tables["Predictions"]}
    of_drug = {row["id"]: row["score"] for row in made.ask(drug="DR:7", top=1000, paths=0).tables["Predictions"]}
    expected = float((z[7] * weight * z[63]).sum() + 0.5 * drug + 2 * disease)
    assert (7, 63) not in pairs_of(made)
    assert of_disease["DR:7"] == pytest.approx(expected, abs=1e-5)
    assert of_drug["DI:3"] == pytest.approx(expected, abs=1e-5)


def test_known_pairs_can_be_shown_with_their_split(made: Made) -> None:
    rows = made.ask(disease="DI:3", top=1000, paths=0, known="include").tables["Predictions"]
    marked = {int(str(row["id"]).split(":")[1]): row["known"] for row in rows if row["known"] != "-"}
    edges = made.graph.edges_of(0)
    expected = {
        int(drug): ("train", "validation", "test")[part]
        for drug, disease, part in zip(
            made.graph.head[edges], made.graph.tail[edges], made.splits.part[edges], strict=True
        )
        if disease == 63
    }
    assert marked == expected


def test_every_path_is_made_of_training_edges(made: Made) -> None:
    found = made.ask(disease="DI:3", top=5, paths=4).tables["Evidence: paths by attention"]
    training = made.splits.edges_in("train")
    names = made.graph.node_names
    relation = made.graph.relation_of
    steps = set()
    for edge in training:
        head, tail = str(names[made.graph.head[edge]]), str(names[made.graph.tail[edge]])
        name = made.graph.relations[relation[edge]].name
        steps |= {(head, name, tail), (tail, name, head)}
    assert found
    for row in found:
        rest = str(row["path"])
        assert rest.startswith(str(names[63]))
        assert rest.endswith(str(row["drug"]))
        parts = rest.replace(" -", "|").replace("- ", "|").split("|")
        for i in range(0, len(parts) - 2, 2):
            assert tuple(parts[i : i + 3]) in steps
        assert 0 < row["attention"] <= 1  # type: ignore[operator]


def test_attention_is_what_the_layer_mixes_values_with(made: Made) -> None:
    """Rows sum to 1, and with values of one head the mean is what `attend` returns."""
    torch.manual_seed(1)
    counts = {"relations": 4, "directed_relations": len(directed_relations(made.graph.relations))}
    model = HGT(type_offsets=made.messages.type_offsets, **counts, **{**SIZES, "num_heads": 1}).eval()
    graph, known = made.messages.whole(), states(model, made.messages)
    layer = model.layers[0]
    share = attention_by_layer(model, known, graph)[0]
    source, target = graph.structure.source.long(), graph.structure.target.long()
    total = np.bincount(target, weights=share, minlength=graph.node_count)
    np.testing.assert_allclose(total[np.unique(target)], 1)
    with torch.no_grad():
        x = known[0]
        _, value = layer.conv.rows(  # type: ignore[union-attr, operator]
            layer.conv.key(x, graph.type_offsets),
            layer.conv.value(x, graph.type_offsets),
            graph,  # type: ignore[union-attr, operator]
        )
        heard = torch.zeros_like(x).index_add(0, target, torch.from_numpy(share).float()[:, None] * value[0][source])
        mixed = layer.conv.mix(x, heard, graph.type_offsets)  # type: ignore[union-attr, operator]
        np.testing.assert_allclose(mixed, layer.conv(x, graph), atol=1e-5)  # type: ignore[union-attr, operator]


def test_edges_name_their_ends_and_their_canonical_relation(made: Made) -> None:
    source, target, relation = edges_of(made.messages)
    known = {
        (int(r), *sorted((int(h), int(t))))
        for r, h, t in zip(made.graph.relation_of, made.graph.head, made.graph.tail, strict=True)
    }
    assert {(int(r), *sorted((int(s), int(t)))) for r, s, t in zip(relation, source, target, strict=True)} <= known
    assert len(source) == 2 * (made.splits.part == 0).sum()


# ---------------------------------------------------------------- a node that the graph does not have


def edges_around(graph: KnowledgeGraph, splits: EdgeSplits, node: int, node_type: str) -> NewEdges:
    """The training edges of a node of the graph, as if it were new."""
    edges = splits.edges_in("train")
    head, tail, relation = (np.asarray(each)[edges] for each in (graph.head, graph.tail, graph.relation_of))
    as_head, as_tail = head == node, tail == node
    return NewEdges(
        node_type,
        np.concatenate([relation[as_head], relation[as_tail]]).astype(np.int64),
        np.concatenate([tail[as_head], head[as_tail]]).astype(np.int64),
        np.concatenate([np.ones(as_head.sum(), bool), np.zeros(as_tail.sum(), bool)]),
    )


@pytest.mark.parametrize(("node", "node_type"), [(63, "disease"), (7, "drug"), (120, "gene/protein")])
def test_a_node_folded_in_from_its_own_edges_and_vector_is_itself(
    made: Made, node: int, node_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = states(made.model, made.messages)
    vector = made.model.embedding(torch.tensor([node]))[0]
    monkeypatch.setattr(fold_in_module, "_own", lambda *_, **__: vector)
    found = fold_in(made.model, made.messages, edges_around(made.graph, made.splits, node, node_type), known=known)
    z = np.load(made.folder / "embeddings" / "embeddings.npy")
    np.testing.assert_allclose(found.embedding, z[node], atol=1e-5)
    source, target, relation = edges_of(made.messages)
    heard = attention_by_layer(made.model, known, made.messages.whole())
    mine = target == node
    for layer, share in enumerate(found.attention):
        ours = dict(zip(zip(found.source.tolist(), found.relation.tolist(), strict=True), share, strict=True))
        theirs = dict(
            zip(zip(source[mine].tolist(), relation[mine].tolist(), strict=True), heard[layer][mine], strict=True)
        )
        assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.slow
def test_a_disease_that_is_folded_in_ranks_drugs_as_it_did_when_it_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its own learned vector, and without itself among those that it begins as."""
    graph, splits = tiny_graph(3000), tiny_splits(3000)
    settings = ModelSettings(
        embedding_dim=32, hidden_dim=32, num_heads=2, max_epochs=60, device="cpu", tensorboard=False, progress_bar=False
    )
    training = prepare_on(graph, splits, settings)
    fit(training.task, train=training.train, validation=None, settings=settings, directory=tmp_path)
    model, messages = training.task.model.eval(), Messages(graph, splits.edges_in("train"))
    known = states(model, messages)
    z = model.finish(model.embedding(None), known[-1]).detach().numpy()
    drugs = z[: graph.nodes_of("drug").stop] * model.decoder.detach().numpy()[graph.relation_index("indication")]
    diseases = graph.nodes_of("disease")
    own, without_alike = [], []
    for node in range(diseases.start, diseases.start + 40):
        edges = edges_around(graph, splits, node, "disease")
        if len(edges.node) < 3:
            continue
        for found, others in ((own, 1.0), (without_alike, 0.0)):
            alike = others * jaccard(messages, edges)
            alike[node - diseases.start] = 0
            monkeypatch.setattr(fold_in_module, "jaccard", lambda *_, alike=alike: alike)
            new = fold_in(model, messages, edges, known=known)
            found.append(spearmanr(drugs @ new.embedding, drugs @ z[node])[0])
    assert np.mean(own) > 0.95
    assert np.mean(own) > np.mean(without_alike)


def test_a_new_node_begins_as_the_nodes_that_share_its_neighbours(made: Made) -> None:
    alike = jaccard(made.messages, edges_around(made.graph, made.splits, 63, "disease"))
    assert alike.argmax() == 3
    assert alike[3] == pytest.approx(1)
    assert (alike >= 0).all()
    assert np.sort(alike)[-2] < 1


def test_a_disease_given_by_its_edges_gets_drugs_and_paths(made: Made, tmp_path: Path) -> None:
    around = edges_around(made.graph, made.splits, 63, "disease")
    path = tmp_path / "mystery.csv"
    names = [made.graph.relations[relation].name for relation in around.relation]
    pd.DataFrame({"relation": names, "node": made.graph.node_names[around.node]}).to_csv(path, index=False)
    found = made.ask(edges=str(path), top=60)
    assert found.headline.startswith("mystery: ")
    rows = found.tables["Predictions"]
    given = {int(node) for node, relation in zip(around.node, around.relation, strict=True) if relation == 0}
    assert {int(str(row["id"]).split(":")[1]) for row in rows} == set(range(60)) - given
    assert all(str(row["path"]).startswith("mystery -") for row in found.tables["Evidence: paths by attention"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relation,gene\nx,y\n", "no column 'node'"),
        ("relation,node\n", "has no edge"),
        ("relation,node\ndrug_protein,GE:1\n", "line 2: no relation 'drug_protein' joins a disease to others; those"),
        ("relation,node\ndisease_protein,GE:1\ndisease_protein,GE:9999\n", "line 3: gene/protein 'GE:9999': no node"),
    ],
)
def test_wrong_edges_are_told_with_their_line(made: Made, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_edges(path, graph=made.graph, node_type="disease")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, "exactly one of --disease, --drug and --edges, found none"),
        ({"disease": "DI:1", "drug": "DR:1"}, "found --disease and --drug"),
        ({"disease": "DI:1", "relation": "drug_protein"}, "joins drug and gene/protein, not disease"),
        ({"disease": "DI:1", "relation": "cures"}, "no relation 'cures'"),
        ({"edges": "nowhere.csv"}, "nowhere.csv: cannot be read"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(made: Made, question: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        made.ask(**question)
