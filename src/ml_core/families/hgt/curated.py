"""Pairs that people have judged: are drugs that do not treat a disease ranked below those that do?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.evaluate import known_pairs
from ml_core.metrics.separation import pair_keys

ID_COLUMNS = {"drug": ("drug_id", "drugbank_id"), "disease": ("disease_id", "doid_id")}
CATEGORY = "category"


@dataclass(frozen=True)
class Curated:
    """Judged negatives of one relation that are nodes of the graph and none of its pairs.

    **Shapes**: rows, columns [c], numbers within the relation's head and tail type. in_table: how many the table has.
    """

    rows: np.ndarray
    columns: np.ndarray
    in_table: int


def read_curated(path: Path, *, graph: KnowledgeGraph, relation: int, negative: str) -> Curated:
    """Rows of `path` with category `negative`, as pairs of the graph's relation. UserError where the table is wrong."""
    table = _read(path)
    of = graph.relations[relation]
    if {of.head, of.tail} != {"drug", "disease"}:
        raise UserError(
            f"{path}: holds drug-disease pairs, but the main relation '{of.name}' runs from {of.head} to {of.tail}; "
            "set report.main_relation, or leave report.curated out."
        )
    columns = {end: _id_column(path, table, end) for end in ID_COLUMNS}
    chosen = table[table[CATEGORY] == negative]
    if chosen.empty:
        found = ", ".join(sorted(table[CATEGORY].dropna().unique())[:10])
        raise UserError(f"{path}: has no row of category '{negative}' (it has {found}); set report.curated_negative.")
    ends = [_numbers(graph, end, chosen[columns[end]]) for end in (of.head, of.tail)]
    there = (ends[0] >= 0) & (ends[1] >= 0)
    rows, tails = ends[0][there], ends[1][there]
    known = known_pairs(graph, relation)
    new = ~np.isin(rows * known.shape[1] + tails, pair_keys(known))
    return Curated(rows[new], tails[new], len(chosen))


def pairs_in(
    graph: KnowledgeGraph, splits: EdgeSplits, relation: int, *, among: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the relation in some splits, as numbers within the head's and the tail's type."""
    of, edges = graph.relations[relation], graph.edges_of(relation)
    chosen = np.isin(np.asarray(splits.part[edges]), [SPLITS.index(split) for split in among])
    rows = np.asarray(graph.head[edges], np.int64)[chosen] - graph.nodes_of(of.head).start
    return rows, np.asarray(graph.tail[edges], np.int64)[chosen] - graph.nodes_of(of.tail).start


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: is no file; give the curated table's path in report.curated, or leave it out.")
    try:
        table = pd.read_csv(path, sep="\t" if ".tsv" in path.suffixes else ",", dtype=str)
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as a table ({error}); expected .tsv or .csv with a header.") from error
    if CATEGORY not in table:
        raise UserError(f"{path}: has no column '{CATEGORY}' (it has {', '.join(table.columns)}); add it.")
    return table


def _id_column(path: Path, table: pd.DataFrame, end: str) -> str:
    for name in ID_COLUMNS[end]:
        if name in table:
            return name
    raise UserError(f"{path}: has no column of {end} ids; expected {' or '.join(ID_COLUMNS[end])}.")


def _numbers(graph: KnowledgeGraph, node_type: str, ids: pd.Series) -> np.ndarray:
    nodes = graph.nodes_of(node_type)
    found: np.ndarray = pd.Index(graph.node_ids[nodes.start : nodes.stop]).get_indexer(ids).astype(np.int64)
    return found
