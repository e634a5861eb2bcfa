"""What the graph and splits stages leave on disk: a knowledge graph as memory-mapped arrays, and each edge's split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError

SPLITS = ("train", "validation", "test")
NODE_COLUMNS = ("node_type", "node_id", "node_name", "node_source")
MANY_NAMES = 10  # an error lists so many names at most


@dataclass(frozen=True)
class Relation:
    """A canonical relation: each of its edges runs from a node of type `head` to one of type `tail`, and stands once.

    name is unique in a graph: the file's relation, or relation:head:tail where one of its names joins several pairs of
    types. symmetric: both ends are of one type and (a, b) is the same edge as (b, a).
    """

    name: str
    head: str
    tail: str
    symmetric: bool = False

    @property
    def key(self) -> str:
        return f"{self.head}|{self.name}|{self.tail}"


@dataclass(frozen=True)
class KnowledgeGraph:
    """Typed nodes, numbered type by type, and canonical edges, each once, sorted by relation.

    **Shapes**, n nodes of t types, e edges of r relations: type_offsets [t + 1] int64 into the nodes; relation_offsets
    [r + 1] int64 into the edges; head and tail [e] int32, numbers of nodes among all n; labels [n] rows of
    `NODE_COLUMNS`, or the Parquet file that is read when they are asked for.
    """

    node_types: list[str]
    type_offsets: np.ndarray
    relations: list[Relation]
    relation_offsets: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    labels: pd.DataFrame | Path

    @property
    def node_count(self) -> int:
        return int(self.type_offsets[-1])

    @property
    def edge_count(self) -> int:
        return len(self.head)

    @cached_property
    def node_type(self) -> np.ndarray:
        """[n] int16, index into node_types."""
        return np.repeat(np.arange(len(self.node_types), dtype=np.int16), np.diff(self.type_offsets))

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """[n] rows: node_type, node_id (unique within its type), node_name, node_source."""
        return pd.read_parquet(self.labels) if isinstance(self.labels, Path) else self.labels

    @cached_property
    def node_ids(self) -> np.ndarray:
        """[n] str objects."""
        return self.nodes["node_id"].to_numpy(object)

    @cached_property
    def node_names(self) -> np.ndarray:
        """[n] str objects."""
        return self.nodes["node_name"].to_numpy(object)

    def nodes_of(self, node_type: str) -> range:
        """Numbers of all nodes of a type."""
        at = _index(self.node_types, node_type, what="node type")
        return range(int(self.type_offsets[at]), int(self.type_offsets[at + 1]))

    def relation_index(self, name: str) -> int:
        return _index([relation.name for relation in self.relations], name, what="relation")

    def edges_of(self, relation: int) -> slice:
        """Where the edges of relation number `relation` stand in head and tail."""
        return slice(int(self.relation_offsets[relation]), int(self.relation_offsets[relation + 1]))

    @cached_property
    def relation_of(self) -> np.ndarray:
        """[e] int16, the relation of each edge."""
        return np.repeat(np.arange(len(self.relations), dtype=np.int16), np.diff(self.relation_offsets))


@dataclass(frozen=True)
class EdgeSplits:
    """Which split each canonical edge belongs to, with both of its directions.

    **Shapes**: part [e] int8, 0, 1, 2 as in `SPLITS`; heldout_nodes [k] int32, ascending: nodes that the holdout took
    all edges of some relations from (none for a random split); heldout_part [k] int8, the split of those edges.
    """

    part: np.ndarray
    heldout_nodes: np.ndarray
    heldout_part: np.ndarray

    def edges_in(self, split: str) -> np.ndarray:
        """Indices of the edges of "train", "validation" or "test", ascending."""
        return np.flatnonzero(self.part == SPLITS.index(split))


def save_graph(directory: Path, graph: KnowledgeGraph) -> None:
    """Write arrays as .npy, nodes.parquet and relations.json."""
    directory.mkdir(parents=True, exist_ok=True)
    _save(
        directory,
        type_offsets=graph.type_offsets.astype(np.int64),
        relation_offsets=graph.relation_offsets.astype(np.int64),
        head=graph.head.astype(np.int32),
        tail=graph.tail.astype(np.int32),
    )
    graph.nodes.loc[:, list(NODE_COLUMNS)].to_parquet(directory / "nodes.parquet", index=False)
    described = {"node_types": graph.node_types, "relations": [asdict(relation) for relation in graph.relations]}
    (directory / "relations.json").write_text(json.dumps(described, indent=2) + "\n")


def load_graph(directory: Path) -> KnowledgeGraph:
    """The graph stage's arrays, memory-mapped; names and ids of nodes are read when they are asked for."""
    described = json.loads((directory / "relations.json").read_text())
    return KnowledgeGraph(
        node_types=described["node_types"],
        relations=[Relation(**relation) for relation in described["relations"]],
        labels=directory / "nodes.parquet",
        **_load(directory, ("type_offsets", "relation_offsets", "head", "tail")),
    )


def save_splits(directory: Path, splits: EdgeSplits) -> None:
    """Write part.npy, heldout_nodes.npy and heldout_part.npy."""
    directory.mkdir(parents=True, exist_ok=True)
    _save(
        directory,
        part=splits.part.astype(np.int8),
        heldout_nodes=splits.heldout_nodes.astype(np.int32),
        heldout_part=splits.heldout_part.astype(np.int8),
    )


def load_splits(directory: Path) -> EdgeSplits:
    """The splits stage's arrays, memory-mapped."""
    return EdgeSplits(**_load(directory, ("part", "heldout_nodes", "heldout_part")))


def _index(names: Sequence[str], name: str, *, what: str) -> int:
    if name not in names:
        listed = ", ".join(names[:MANY_NAMES]) + (", ..." if len(names) > MANY_NAMES else "")
        raise UserError(f"graph: has no {what} '{name}'; it has {listed}.")
    return list(names).index(name)


def _save(directory: Path, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", np.ascontiguousarray(array))


def _load(directory: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in names}
