"""A knowledge graph of PrimeKG's types and relations with planted communities, hubs and disease-gene-drug paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ml_core.families.hgt.primekg_counts import NODE_TYPES, NODES, RELATIONS, NodeTypePlan, RelationPlan
from ml_core.families.hgt.settings import RawSettings

FULLEST = 0.25  # share of all possible pairs that a relation, or its part within communities, has at most
FEWEST_NODES = 8
PLANTED_ROUNDS = 12  # after so many draws the last missing edges are drawn without regard to communities
PATHS_FROM = {"indication": ("drug_protein", "disease_protein"), "off-label use": ("drug_protein", "disease_protein")}


@dataclass(frozen=True)
class SimulatedType:
    """**Shapes**, n nodes: community [n] int32, weight [n] float64 (how popular), order [n] nodes by community."""

    plan: NodeTypePlan
    community: np.ndarray
    weight: np.ndarray
    order: np.ndarray
    cumulated: np.ndarray  # [n + 1] weights along `order`
    starts: np.ndarray  # [communities + 1] into `order`

    def __len__(self) -> int:
        return len(self.community)

    @property
    def ids(self) -> np.ndarray:
        """[n] str. Bare numbers stand for other nodes in other types, as they do in PrimeKG."""
        return np.array([f"{self.plan.prefix}{number + 1}" for number in range(len(self))], object)

    @property
    def names(self) -> np.ndarray:
        return np.array([f"{self.plan.name} {number + 1}" for number in range(len(self))], object)

    def draw(self, communities: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        """A node of each of these communities, by popularity; of any community where it is -1 or has no node."""
        known = np.maximum(communities, 0)
        low = np.where(communities < 0, 0, self.cumulated[self.starts[known]])
        high = np.where(communities < 0, self.cumulated[-1], self.cumulated[self.starts[known + 1]])
        empty = high <= low
        low, high = np.where(empty, 0, low), np.where(empty, self.cumulated[-1], high)
        at = np.searchsorted(self.cumulated, low + rng.random(len(low)) * (high - low), side="right") - 1
        return self.order[np.minimum(at, len(self) - 1)]


@dataclass(frozen=True)
class SimulatedGraph:
    """edges: relation name -> heads and tails, [e] int64 each, numbers within their types; no pair stands twice."""

    types: dict[str, SimulatedType]
    relations: tuple[RelationPlan, ...]
    edges: dict[str, tuple[np.ndarray, np.ndarray]]


def simulate(settings: RawSettings) -> SimulatedGraph:
    """Nodes in communities, and edges that mostly follow them; every node has an edge."""
    rng = np.random.default_rng(settings.seed)
    types = {plan.name: _nodes(plan, settings=settings, rng=rng) for plan in NODE_TYPES}
    homes = _largest_relation_of_each_type()
    edges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for plan in sorted(RELATIONS, key=lambda plan: plan.name in PATHS_FROM):  # paths close over edges that are there
        edges[plan.name] = _edges(plan, types=types, homes=homes, there=edges, settings=settings, rng=rng)
    return SimulatedGraph(types, RELATIONS, edges)


def write(graph: SimulatedGraph, directory: Path, *, file_format: str) -> dict[str, str]:
    """Write kg.parquet or kg.csv in PrimeKG's columns, both directions, and truth.parquet; the names of the files."""
    offsets = np.cumsum([0, *(len(nodes) for nodes in graph.types.values())])
    first = dict(zip(graph.types, offsets.tolist(), strict=False))
    labels = {name: (pa.array(nodes.ids), pa.array(nodes.names)) for name, nodes in graph.types.items()}
    place = directory / f"kg.{file_format}"
    writer: pa.parquet.ParquetWriter | pa.csv.CSVWriter | None = None
    for plan in graph.relations:
        heads, tails = graph.edges[plan.name]
        ends = [(plan.head, heads), (plan.tail, tails)]
        for x, y in ((ends[0], ends[1]), (ends[1], ends[0])):
            table = _rows(plan, x=x, y=y, graph=graph, first=first, labels=labels)
            if file_format == "csv":
                table = table.cast(pa.schema([(f.name, _plain(f.type)) for f in table.schema]))
                writer = writer or pa.csv.CSVWriter(place, table.schema)
            else:
                writer = writer or pa.parquet.ParquetWriter(place, table.schema)
            writer.write_table(table)
    assert writer is not None
    writer.close()
    truth = [
        pd.DataFrame({"node_type": name, "node_id": nodes.ids, "community": nodes.community})
        for name, nodes in graph.types.items()
    ]
    pd.concat(truth, ignore_index=True).to_parquet(directory / "truth.parquet", index=False)
    return {"kg": place.name, "truth": "truth.parquet"}


def planned_edges(plan: RelationPlan, *, nodes: int, head: int, tail: int, growth: float) -> int:
    """PrimeKG's number of edges at its size; at fewer `nodes` it shrinks with their power `growth` and stays sparse."""
    pairs = head * (head - 1) // 2 if plan.head == plan.tail else head * tail
    most = max(1, int(FULLEST * pairs))
    wanted = round(plan.edges * (nodes / NODES) ** growth)
    fewest = head if plan.head == plan.tail else head + tail
    return min(plan.edges if nodes == NODES else max(wanted, fewest), most)


def _nodes(plan: NodeTypePlan, *, settings: RawSettings, rng: np.random.Generator) -> SimulatedType:
    count = max(FEWEST_NODES, round(plan.nodes * settings.nodes / NODES))
    community = rng.integers(settings.communities, size=count, dtype=np.int32)
    weight = rng.lognormal(sigma=settings.hub_sigma, size=count)
    order = np.argsort(community, kind="stable")
    cumulated = np.concatenate([[0.0], np.cumsum(weight[order])])
    starts = np.searchsorted(community[order], np.arange(settings.communities + 1))
    return SimulatedType(plan, community, weight, order, cumulated, starts)


def _largest_relation_of_each_type() -> dict[str, str]:
    """Node type -> the relation in which each of its nodes gets its first edge."""
    by_size = sorted(RELATIONS, key=lambda plan: plan.edges)
    return {end: plan.name for plan in by_size for end in (plan.head, plan.tail)}


def _edges(
    plan: RelationPlan,
    *,
    types: dict[str, SimulatedType],
    homes: dict[str, str],
    there: dict[str, tuple[np.ndarray, np.ndarray]],
    settings: RawSettings,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    head, tail = types[plan.head], types[plan.tail]
    growth = settings.edge_growth
    count = planned_edges(plan, nodes=settings.nodes, head=len(head), tail=len(tail), growth=growth)
    pairs = len(head) * len(tail) / (2 if plan.head == plan.tail else 1)
    spread = min(settings.communities, max(1, round(count * settings.communities / (FULLEST * pairs))))

    def related(communities: np.ndarray, sign: int) -> np.ndarray:
        """A community that these are joined to, or any (-1) for a share `noise` of them."""
        further = plan.shift + rng.integers(spread, size=len(communities))
        chosen = (communities + sign * further) % settings.communities
        return np.where(rng.random(len(communities)) < settings.noise, -1, chosen)

    def keys(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        if plan.head == plan.tail:
            heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
            heads, tails = heads[heads != tails], tails[heads != tails]
        return heads.astype(np.int64) * len(tail) + tails

    first = []  # an edge for each node whose home this relation is
    if homes[plan.head] == plan.name:
        first.append(keys(np.arange(len(head)), tail.draw(related(head.community, 1), rng=rng)))
    if homes[plan.tail] == plan.name and plan.head != plan.tail:
        first.append(keys(head.draw(related(tail.community, -1), rng=rng), np.arange(len(tail))))
    drawn = pd.unique(np.concatenate([*first, np.empty(0, np.int64)]))
    count = max(count, len(drawn))
    if plan.name in PATHS_FROM:
        closed = keys(*_closed_paths(*(there[name] for name in PATHS_FROM[plan.name]), count=4 * count, rng=rng))
        drawn = pd.unique(np.concatenate([drawn, pd.unique(closed)[: round(settings.path_share * count)]]))
    for attempt in range(10 * PLANTED_ROUNDS):
        missing = count - len(drawn)
        if missing <= 0:
            break
        more = int(1.2 * missing) + 16
        if attempt < PLANTED_ROUNDS:
            heads = head.draw(np.full(more, -1), rng=rng)
            tails = tail.draw(related(head.community[heads], 1), rng=rng)
        else:
            heads, tails = rng.integers(len(head), size=more), rng.integers(len(tail), size=more)
        drawn = pd.unique(np.concatenate([drawn, keys(heads, tails)]))
    drawn = np.sort(drawn[:count])
    return drawn // len(tail), drawn % len(tail)


def _closed_paths(
    drug_gene: tuple[np.ndarray, np.ndarray],
    disease_gene: tuple[np.ndarray, np.ndarray],
    *,
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Drugs and diseases, at most `count` of each, that share a gene."""
    drugs, targets = drug_gene
    by_gene = np.argsort(disease_gene[1], kind="stable")
    diseases, genes = disease_gene[0][by_gene], disease_gene[1][by_gene]
    chosen = rng.integers(len(drugs), size=count)
    low, high = (np.searchsorted(genes, targets[chosen], side=side) for side in ("left", "right"))
    shared = high > low
    chosen, low, high = chosen[shared], low[shared], high[shared]
    return drugs[chosen], diseases[low + rng.integers(high - low)]


def _rows(
    plan: RelationPlan,
    *,
    x: tuple[str, np.ndarray],
    y: tuple[str, np.ndarray],
    graph: SimulatedGraph,
    first: dict[str, int],
    labels: dict[str, tuple[pa.Array, pa.Array]],
) -> pa.Table:
    """PrimeKG's 12 columns for one relation in one direction; texts as dictionaries."""

    def same(text: str) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(x[1]), np.int32)), pa.array([text]))

    columns: dict[str, pa.Array] = {"relation": same(plan.name), "display_relation": same(plan.display)}
    for side, (node_type, numbers) in (("x", x), ("y", y)):
        ids, names = labels[node_type]
        codes = pa.array(numbers.astype(np.int32))
        columns[f"{side}_index"] = pa.array(numbers + first[node_type])
        columns[f"{side}_id"] = pa.DictionaryArray.from_arrays(codes, ids)
        columns[f"{side}_type"] = same(node_type)
        columns[f"{side}_name"] = pa.DictionaryArray.from_arrays(codes, names)
        columns[f"{side}_source"] = same(graph.types[node_type].plan.source)
    return pa.table(columns)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
