"""The stage `embeddings`: every node encoded from the training edges, with the decoder that scores pairs of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml_core.errors import UserError
from ml_core.families.hgt.balance import balanced
from ml_core.families.hgt.data import KnowledgeGraph, load_graph, load_splits
from ml_core.families.hgt.embedding_arrays import Embeddings, save_arrays
from ml_core.families.hgt.inference import encode
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.leaning import fit_leaning
from ml_core.families.hgt.messages import Messages
from ml_core.families.hgt.report_settings import EmbeddingsSettings
from ml_core.families.hgt.train import load_model
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.usage import cpu_seconds


def build(run: StageRun) -> Summary:
    """Encode all nodes, write arrays and tables. Edges of validation and test send no messages here either."""
    settings: EmbeddingsSettings = run.settings
    graph, splits = load_graph(run.inputs["graph"].directory), load_splits(run.inputs["splits"].directory)
    model, description = load_model(run.inputs["model"])
    if description["relations"] != [relation.key for relation in graph.relations]:
        raise UserError("embeddings: the model was trained on other relations than this graph has; run model again.")
    started = cpu_seconds()
    z = encode(
        model,
        Messages(graph, splits.edges_in("train")),
        nodes_per_chunk=settings.nodes_per_chunk,
        progress=lambda chunks: run.progress(chunks, what="encode nodes"),
    )
    seconds = cpu_seconds() - started
    taught = EmbeddingJudge(graph, z.numpy(), model.decoder.detach().numpy(), model.scale)
    judge = balanced(taught, splits, own_dim=model.own_dim)
    found = Embeddings(judge.embeddings, judge.decoder, judge.scale, fit_leaning(graph, splits, judge))
    save_arrays(run.directory, found)
    write_table(run.directory, found, graph)
    if settings.csv:
        write_csv(run.directory / "embeddings.csv", found, graph)
    finite = bool(np.isfinite(found.embeddings).all())
    summary = Summary(
        headline=f"{len(z):,} nodes, {z.size(1)} numbers each.",
        numbers={"embeddings.nodes": len(z), "embeddings.width": z.size(1), "embeddings.cpu_seconds": seconds},
    )
    summary.check(
        "finite_embeddings", finite, f"embeddings of {len(z):,} nodes {'are' if finite else 'are not'} finite."
    )
    return summary


def write_table(directory: Path, found: Embeddings, graph: KnowledgeGraph) -> None:
    """Write embeddings.parquet, one row per node, and embeddings.json: what the rows and the decoder's rows are."""
    described = {
        "node_types": graph.node_types,
        "type_offsets": [int(offset) for offset in graph.type_offsets],
        "relations": [relation.key for relation in graph.relations],
    }
    (directory / "embeddings.json").write_text(json.dumps(described, indent=1) + "\n")
    width = found.embeddings.shape[1]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(found.embeddings.ravel()), width)
    columns = {name: pa.array(graph.nodes[name].astype(str)) for name in ("node_type", "node_id", "node_name")}
    pq.write_table(pa.table({**columns, "embedding": rows}), directory / "embeddings.parquet")


def write_csv(path: Path, found: Embeddings, graph: KnowledgeGraph) -> None:
    """The seed's table: node_id, node_name, node_type, embedding as a JSON list."""
    table = graph.nodes[["node_id", "node_name", "node_type"]].copy()
    table["embedding"] = [json.dumps([float(f"{x:.7g}") for x in row]) for row in found.embeddings]
    table.to_csv(path, index=False)
