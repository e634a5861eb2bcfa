"""The family's answer to `python -m ml_core predict hgt`: drugs of a disease, diseases of a drug, with evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph, load_graph, load_splits
from ml_core.families.hgt.embedding_arrays import load_arrays
from ml_core.families.hgt.evaluate import known_pairs, main_relation
from ml_core.families.hgt.flows import attention_by_layer, edges_of, states
from ml_core.families.hgt.fold_in import NewNode, fold_in, read_edges
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.messages import Messages
from ml_core.families.hgt.naming import find_node
from ml_core.families.hgt.paths import Flow, as_text
from ml_core.families.hgt.report_settings import PredictSettings
from ml_core.families.hgt.train import load_model
from ml_core.summary import Number, Summary

DISEASE, DRUG = "disease", "drug"


@dataclass(frozen=True)
class Asked:
    """Who is asked about: a node of `node_type`, or a new one (node is n, the number after the last)."""

    node_type: str
    node: int
    name: str
    new: NewNode | None = None


def answer(settings: PredictSettings, artifacts: Mapping[str, Artifact]) -> Summary:
    """The best candidates of the one asked about, as a table, and along which paths attention joins them."""
    _one_question(settings)
    graph, splits = load_graph(artifacts["graph"].directory), load_splits(artifacts["splits"].directory)
    found = load_arrays(artifacts["embeddings"].directory)
    relation = main_relation(graph, settings.relation)
    judge = found.judge(graph)
    node_type = DRUG if settings.drug is not None else DISEASE
    other = _other_end(graph, relation, node_type)
    asked, flow = _who(settings, artifacts, graph=graph, splits=splits, node_type=node_type)
    scores = _scores(judge, relation, asked)
    known = _known(graph, relation, asked)
    order = np.argsort(-scores, kind="stable")
    left_out = known if settings.known == "exclude" else np.zeros(len(scores), bool)
    order = order[~left_out[order]][: settings.top]
    first = graph.nodes_of(other).start
    part = _parts(graph, splits, relation, asked, first=first, size=len(scores))
    degree = _degrees(graph, splits, relation, other)
    names = {asked.node: asked.name}
    rows: list[dict[str, Number]] = []
    evidence: list[dict[str, Number]] = []
    for rank, place in enumerate(order, start=1):
        node = int(first + place)
        row: dict[str, Number] = {
            "rank": rank,
            other: str(graph.node_names[node]),
            "id": str(graph.node_ids[node]),
            "score": float(scores[place]),
            "training edges": int(degree[place]),
            "also joined by": _also(graph, relation, asked, node) or "-",
        }
        if settings.known == "include":
            row["known"] = part[place] or "-"
        paths = flow.paths(asked.node, node, most=settings.paths) if flow else []
        if settings.paths:
            row["strongest path"] = as_text(paths[0], graph, names=names) if paths else "none of three edges or fewer"
        rows.append(row)
        evidence += [
            {
                "rank": rank,
                other: str(graph.node_names[node]),
                "attention": path.weight,
                "path": as_text(path, graph, names=names),
            }
            for path in paths
        ]
    what = "left out" if settings.known == "exclude" else "marked"
    headline = (
        f"{asked.name}: {len(rows)} of {len(scores):,} nodes of type {other} by {graph.relations[relation].name}; "
        f"{int(known.sum())} known ones {what}."
    )
    return Summary(headline=headline, tables={"Predictions": rows, "Evidence: paths by attention": evidence})


def _one_question(settings: PredictSettings) -> None:
    given = [name for name in ("disease", "drug", "edges") if getattr(settings, name) is not None]
    if len(given) != 1:
        said = " and ".join(f"--{name}" for name in given) or "none"
        raise UserError(f"predict hgt: expected exactly one of --disease, --drug and --edges, found {said}.")


def _other_end(graph: KnowledgeGraph, relation: int, node_type: str) -> str:
    of = graph.relations[relation]
    if node_type not in (of.head, of.tail):
        raise UserError(
            f"predict hgt: relation '{of.name}' joins {of.head} and {of.tail}, not {node_type}; name another by "
            "--relation."
        )
    return of.tail if of.head == node_type else of.head


def _who(
    settings: PredictSettings,
    artifacts: Mapping[str, Artifact],
    *,
    graph: KnowledgeGraph,
    splits: EdgeSplits,
    node_type: str,
) -> tuple[Asked, Flow | None]:
    """Find or encode the one asked about; the flow where paths are wanted."""
    asked = None
    if settings.edges is None:
        node = find_node(graph, node_type, str(settings.drug if node_type == DRUG else settings.disease))
        asked = Asked(node_type, node, str(graph.node_names[node]))
        if not settings.paths:
            return asked, None
    else:
        edges = read_edges(Path(settings.edges).expanduser(), graph=graph, node_type=node_type)
    model, _ = load_model(artifacts["model"])
    messages = Messages(graph, splits.edges_in("train"))
    known = states(model, messages)
    if asked is None:
        new = fold_in(model, messages, edges, known=known)
        asked = Asked(node_type, graph.node_count, Path(str(settings.edges)).stem, new)
        if not settings.paths:
            return asked, None
    source, target, relation = edges_of(messages)
    heard = attention_by_layer(model, known, messages.whole())
    if asked.new is not None:  # it hears its neighbours, who do not hear it
        new_source, nobody = asked.new.source, np.zeros(len(asked.new.source))
        number = np.full(len(new_source), asked.node)
        source = np.concatenate([source, new_source, number])
        target = np.concatenate([target, number, new_source])
        relation = np.concatenate([relation, asked.new.relation, asked.new.relation])
        heard = [np.concatenate([old, new, nobody]) for old, new in zip(heard, asked.new.attention, strict=True)]
    nodes = graph.node_count + (asked.new is not None)
    return asked, Flow(nodes=nodes, source=source, target=target, relation=relation, attention=heard)


def _scores(judge: EmbeddingJudge, relation: int, asked: Asked) -> np.ndarray:
    """Of every node of the other end's type."""
    of = judge.graph.relations[relation]
    factors = judge.factors(relation)
    is_head = of.head == asked.node_type
    if asked.new is not None:
        alone = asked.new.embedding[None]
        embedding = (judge.as_heads(relation, alone) if is_head else judge.as_tails(alone))[0]
    else:
        at = asked.node - judge.graph.nodes_of(asked.node_type).start
        embedding = (factors.head if is_head else factors.tail)[at]
    scores: np.ndarray = (factors.tail if is_head else factors.head) @ embedding
    return scores


def _known(graph: KnowledgeGraph, relation: int, asked: Asked) -> np.ndarray:
    """bool [nodes of the other end]: pairs of the relation with the one asked about, of whatever split."""
    of = graph.relations[relation]
    pairs = known_pairs(graph, relation)
    pairs = pairs if of.head == asked.node_type else pairs.T.tocsr()
    if asked.new is not None:
        known = np.zeros(pairs.shape[1], bool)
        mine = asked.new.source[asked.new.relation == relation]
        known[mine - graph.nodes_of(_other_end(graph, relation, asked.node_type)).start] = True
        return known
    row = pairs[[asked.node - graph.nodes_of(asked.node_type).start]]
    found: np.ndarray = row.toarray()[0].astype(bool)
    return found


def _parts(
    graph: KnowledgeGraph, splits: EdgeSplits, relation: int, asked: Asked, *, first: int, size: int
) -> list[str]:
    """For every candidate the split of its known pair, or nothing."""
    edges = graph.edges_of(relation)
    found = [""] * size
    head, tail, part = (np.asarray(each[edges]) for each in (graph.head, graph.tail, splits.part))
    for own, other in ((head, tail), (tail, head)):
        for i in np.flatnonzero(own == asked.node):
            if 0 <= other[i] - first < size:
                found[int(other[i] - first)] = SPLITS[int(part[i])]
    return found


def _degrees(graph: KnowledgeGraph, splits: EdgeSplits, relation: int, node_type: str) -> np.ndarray:
    """Training edges of the relation that each candidate has: how popular it is anyway."""
    edges = graph.edges_of(relation)
    training = np.asarray(splits.part[edges]) == SPLITS.index("train")
    ends = np.concatenate([np.asarray(side[edges])[training] for side in (graph.head, graph.tail)])
    nodes = graph.nodes_of(node_type)
    counted: np.ndarray = np.bincount(ends, minlength=graph.node_count)[nodes.start : nodes.stop]
    return counted


def _also(graph: KnowledgeGraph, relation: int, asked: Asked, node: int) -> str:
    """Other relations that join the two in the graph."""
    if asked.new is not None:
        return ""
    head, tail = np.asarray(graph.head), np.asarray(graph.tail)
    joining = ((head == asked.node) & (tail == node)) | ((head == node) & (tail == asked.node))
    numbers = [number for number in np.unique(graph.relation_of[joining]) if number != relation]
    return ", ".join(graph.relations[number].name for number in numbers)
