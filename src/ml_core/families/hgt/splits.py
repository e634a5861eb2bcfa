"""Training, validation and test edges: each canonical edge is dealt out once, and the proof that nothing leaks."""

from __future__ import annotations

import numpy as np

from ml_core.errors import UserError
from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph, load_graph, save_splits
from ml_core.families.hgt.settings import SplitsSettings
from ml_core.families.hgt.splits_figure import draw_shares
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

TRAIN, VALIDATION, TEST = range(len(SPLITS))
DRAWS = 100  # deals of nodes, of which the one whose edges come closest to the wanted shares is taken


def build(run: StageRun) -> Summary:
    """Split the edges, count what two splits share, and say how each relation came out."""
    settings: SplitsSettings = run.settings
    graph = load_graph(run.inputs["graph"].directory)
    splits = (
        hold_out(graph, settings=settings) if settings.kind == "disease_holdout" else deal(graph, settings=settings)
    )
    save_splits(run.directory, splits)
    summary = _summary(graph, splits=splits, settings=settings)
    draw_shares(run.directory / "figures" / "splits.png", rows=summary.tables["Splits"])
    return summary


def deal(graph: KnowledgeGraph, *, settings: SplitsSettings) -> EdgeSplits:
    """Shares of each relation's edges at random; a relation with fewer than `min_edges` is trained on only.

    The two directions of a directed relation between the same nodes go together, and, where the settings ask for it,
    all edges that join them.
    """
    rng = np.random.default_rng(settings.seed)
    unit, relation = _units(graph, together=settings.same_pair_together)
    part = np.zeros(len(relation), np.int8)
    for number in range(len(graph.relations)):
        edges = graph.edges_of(number)
        mine = np.flatnonzero(relation == number)
        if edges.stop - edges.start >= settings.min_edges and len(mine) >= len(SPLITS):
            part[mine] = _dealt(len(mine), settings=settings, rng=rng)
    return EdgeSplits(part[unit], np.empty(0, np.int32), np.empty(0, np.int8))


def hold_out(graph: KnowledgeGraph, *, settings: SplitsSettings) -> EdgeSplits:
    """A share of the diseases lose all their drug edges to validation or test; all other edges are trained on."""
    kind, partner = settings.holdout_type, settings.partner_type
    graph.nodes_of(kind), graph.nodes_of(partner)  # refuses unknown ones
    joining = [
        number for number, each in enumerate(graph.relations) if [each.head, each.tail] in _orders(kind, partner)
    ]
    if kind == partner or not joining:
        raise UserError(
            f"splits: no relation joins '{kind}' to '{partner}', so that there is nothing to hold out; name two node "
            "types that are joined in splits.holdout_type and splits.partner_type, or take splits.kind=random."
        )
    edges = np.concatenate([np.arange(graph.edge_count)[graph.edges_of(number)] for number in joining])
    first = graph.nodes_of(kind)
    of_head = (graph.head[edges] >= first.start) & (graph.head[edges] < first.stop)
    nodes, node = np.unique(np.where(of_head, graph.head[edges], graph.tail[edges]), return_inverse=True)
    if len(nodes) < len(SPLITS):
        raise UserError(
            f"splits: {len(nodes)} nodes of type '{kind}' have edges to '{partner}', expected at least {len(SPLITS)} "
            "to hold some out; keep more of the graph, or take splits.kind=random."
        )
    rng = np.random.default_rng(settings.seed)
    relation = np.repeat(np.arange(len(joining)), [_size(graph, number) for number in joining])
    deals = [_dealt(len(nodes), settings=settings, rng=rng) for _ in range(DRAWS)]
    best = min(deals, key=lambda dealt: _imbalance(dealt[node], relation=relation, settings=settings))
    part = np.zeros(graph.edge_count, np.int8)
    part[edges] = best[node]
    held = best != TRAIN
    return EdgeSplits(part, nodes[held].astype(np.int32), best[held])


def leaks(graph: KnowledgeGraph, *, splits: EdgeSplits) -> dict[str, int]:
    """What two splits share, counted from the edges themselves.

    shared_edges: pairs of nodes that a relation joins, in whichever direction, in more than one split.
    heldout_in_training: training edges between a node that is held out and a type that it was to lose.
    """
    n = graph.node_count
    key = (graph.relation_of.astype(np.int64) * n * n + _pairs(graph)) * len(SPLITS) + splits.part
    key.sort()  # np.unique takes ten times as long
    in_other = key[1:][(key[1:] != key[:-1]) & (key[1:] // len(SPLITS) == key[:-1] // len(SPLITS))]
    held = np.zeros(n, bool)
    held[splits.heldout_nodes] = True
    trained = splits.part == TRAIN
    lost = np.zeros(len(graph.relations), bool)
    lost[np.unique(graph.relation_of[~trained])] = len(splits.heldout_nodes) > 0
    touched = trained & lost[graph.relation_of] & (held[graph.head] | held[graph.tail])
    return {"shared_edges": len(in_other), "heldout_in_training": int(touched.sum())}


def joined_in_training(graph: KnowledgeGraph, *, splits: EdgeSplits) -> np.ndarray:
    """[e] bool: edges outside training whose two nodes another relation joins in training.

    They are no leak of the edge itself, but the other relation may give it away (indication and off-label use).
    """
    pairs, outside = _pairs(graph), splits.part != TRAIN
    found = np.zeros(graph.edge_count, bool)
    trained = np.sort(pairs[~outside])
    at = np.searchsorted(trained, pairs[outside]).clip(max=max(len(trained) - 1, 0))
    found[outside] = trained[at] == pairs[outside] if len(trained) else False
    return found


def unseen_in_training(graph: KnowledgeGraph, *, splits: EdgeSplits) -> np.ndarray:
    """[e] bool: edges outside training with an end that has no training edge at all."""
    seen = np.zeros(graph.node_count, bool)
    trained = splits.part == TRAIN
    seen[graph.head[trained]] = seen[graph.tail[trained]] = True
    return ~trained & ~(seen[graph.head] & seen[graph.tail])


def _pairs(graph: KnowledgeGraph) -> np.ndarray:
    """[e] int64, equal for edges that join the same two nodes."""
    low, high = np.minimum(graph.head, graph.tail), np.maximum(graph.head, graph.tail)
    return low.astype(np.int64) * graph.node_count + high


def _units(graph: KnowledgeGraph, *, together: bool) -> tuple[np.ndarray, np.ndarray]:
    """What is dealt out whole: [e] the unit of each edge, and [units] the relation that it is dealt out with."""
    undirected = all(relation.symmetric or relation.head != relation.tail for relation in graph.relations)
    if undirected and not together:
        return np.arange(graph.edge_count), graph.relation_of
    key = _pairs(graph)
    if not together:
        key += graph.relation_of.astype(np.int64) * graph.node_count**2
    _, unit = np.unique(key, return_inverse=True)
    sizes = np.diff(graph.relation_offsets)
    relation = np.empty(int(unit.max()) + 1, np.int16)
    for number in np.argsort(-sizes, kind="stable"):  # the smallest one that the pair has comes last and stays
        relation[unit[graph.edges_of(int(number))]] = number
    return unit, relation


def _dealt(count: int, *, settings: SplitsSettings, rng: np.random.Generator) -> np.ndarray:
    """[count] int8 in random order, with at least one of each split."""
    test, validation = (max(1, round(share * count)) for share in (settings.test, settings.validation))
    part = np.zeros(count, np.int8)
    part[:test], part[test : test + validation] = TEST, VALIDATION
    return rng.permutation(part)


def _imbalance(part: np.ndarray, *, relation: np.ndarray, settings: SplitsSettings) -> float:
    """How far the shares of the relations' edges are from the wanted ones; a split without edges counts 1 more."""
    counts = np.bincount(relation * len(SPLITS) + part, minlength=len(SPLITS) * (relation.max() + 1))
    shares = counts.reshape(-1, len(SPLITS)) / counts.reshape(-1, len(SPLITS)).sum(axis=1, keepdims=True)
    wanted = np.array([settings.train, settings.validation, settings.test])
    return float(np.abs(shares - wanted).sum(axis=1).mean() + (shares == 0).sum())


def _orders(one: str, other: str) -> tuple[list[str], list[str]]:
    return [one, other], [other, one]


def _size(graph: KnowledgeGraph, relation: int) -> int:
    edges = graph.edges_of(relation)
    return edges.stop - edges.start


def _summary(graph: KnowledgeGraph, *, splits: EdgeSplits, settings: SplitsSettings) -> Summary:
    found = leaks(graph, splits=splits)
    joined, unseen = joined_in_training(graph, splits=splits), unseen_in_training(graph, splits=splits)
    tested = splits.part == TEST
    rows: list[dict[str, Number]] = []
    for number, relation in enumerate(graph.relations):
        edges = graph.edges_of(number)
        counts = np.bincount(splits.part[edges], minlength=len(SPLITS)).tolist()
        rows.append({
            "relation": relation.name,
            "head": relation.head,
            "tail": relation.tail,
            **dict(zip(SPLITS, counts, strict=True)),
            "test joined by another relation in training": int((joined[edges] & tested[edges]).sum()),
            "test with an end unseen in training": int((unseen[edges] & tested[edges]).sum()),
        })  # fmt: skip
    total = np.bincount(splits.part, minlength=len(SPLITS))
    held = np.bincount(splits.heldout_part, minlength=len(SPLITS))
    what = (
        f"{held[TEST]} and {held[VALIDATION]} nodes of type {settings.holdout_type} held out for test and validation; "
    )
    summary = Summary(
        headline=(what if len(splits.heldout_nodes) else "")
        + ", ".join(f"{name} {count:,} edges" for name, count in zip(SPLITS, total.tolist(), strict=True))
        + f"; {sum(bool(row['test']) for row in rows)} of {len(rows)} relations are tested.",
        numbers={
            **{f"split.{name}": value for name, value in found.items()},
            **{f"split.{name}_edges": int(count) for name, count in zip(SPLITS, total, strict=True)},
            "split.heldout_nodes": len(splits.heldout_nodes),
            "split.relations_tested": sum(bool(row["test"]) for row in rows),
            "split.test_joined_by_another_relation": int((joined & tested).sum()),
            "split.test_with_unseen_end": int((unseen & tested).sum()),
        },
        tables={"Splits": rows},
        figures={"Edges of each relation by split": "figures/splits.png"},
    )
    summary.check(
        "no_leakage", not any(found.values()), ", ".join(f"{c:,} {name.replace('_', ' ')}" for name, c in found.items())
    )
    summary.check(
        "all_splits_filled",
        bool(total.all()),
        ", ".join(f"{name} has {count:,} edges" for name, count in zip(SPLITS, total.tolist(), strict=True)),
    )
    return summary
