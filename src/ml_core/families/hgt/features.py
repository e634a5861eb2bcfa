"""Features of nodes from outside the graph, such as embeddings of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ml_core.errors import UserError
from ml_core.families.hgt.data import KnowledgeGraph

COLUMNS = ("node_type", "node_id", "embedding")


def read_features(path: Path, graph: KnowledgeGraph) -> Tensor:
    """Float32 [n, k] in the graph's order, each column scaled to unit variance; rows of zeros for nodes without any.

    Raises UserError where the file is no such table, its lists differ in length, or no node is in it.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"model.features: {path} cannot be read as Parquet; give a table with {', '.join(COLUMNS)}."
        ) from error
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"model.features: {path} has no column '{missing[0]}'; expected {', '.join(COLUMNS)}.")
    lengths = table["embedding"].map(len).unique()
    if len(lengths) != 1:
        raise UserError(
            f"model.features: {path} has lists of {len(lengths)} lengths; give every node equally many numbers."
        )
    index = pd.MultiIndex.from_arrays([table["node_type"], table["node_id"].astype(str)])
    if not index.is_unique:
        raise UserError(f"model.features: {path} has {index[index.duplicated()][0]} more than once; keep one row each.")
    types = np.asarray(graph.node_types, dtype=object)[graph.node_type]
    at = index.get_indexer(pd.MultiIndex.from_arrays([types, graph.node_ids.astype(str)]))
    if not (at >= 0).any():
        raise UserError(f"model.features: {path} has none of the graph's nodes; check node_type and node_id.")
    values = np.stack(table["embedding"].to_list()).astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"model.features: {path} has numbers that are not finite; leave those nodes out.")
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)
    found = np.where((at >= 0)[:, None], values[at], 0).astype(np.float32)
    return torch.from_numpy(found)
