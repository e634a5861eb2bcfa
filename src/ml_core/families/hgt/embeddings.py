"""The stage `embeddings`: every node encoded from the training edges, with the decoder that scores pairs of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml_core.errors import UserError
from ml_core.families.hgt.data import KnowledgeGraph, load_graph, load_splits
from ml_core.families.hgt.inference import encode
from ml_core.families.hgt.judges import EmbeddingJudge, Leaning
from ml_core.families.hgt.leaning import fit_leaning
from ml_core.families.hgt.messages import Messages
from ml_core.families.hgt.report_settings import EmbeddingsSettings
from ml_core.families.hgt.train import load_model
from ml_core.stages import StageRun, cpu_seconds
from ml_core.summary import Summary

ENDS = ("head", "tail")


@dataclass(frozen=True)
class Embeddings:
    """What `judges.EmbeddingJudge` scores pairs by.

    **Shapes**: embeddings [n, f] float32, in the graph's order of nodes; decoder [r, f] float32.
    """

    embeddings: np.ndarray
    decoder: np.ndarray
    scale: float
    leaning: Leaning

    def judge(self, graph: KnowledgeGraph) -> EmbeddingJudge:
        """Scores of pairs of this graph."""
        return EmbeddingJudge(graph, self.embeddings, self.decoder, self.scale, self.leaning)


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
    decoder = model.decoder.detach().numpy()
    leaning = fit_leaning(graph, splits, EmbeddingJudge(graph, z.numpy(), decoder, model.scale))
    found = Embeddings(z.numpy(), decoder, model.scale, leaning)
    save_embeddings(run.directory, found, graph)
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


def save_embeddings(directory: Path, found: Embeddings, graph: KnowledgeGraph) -> None:
    """Write embeddings.npy, decoder.npy, leaning.npz, embeddings.json and embeddings.parquet (one row per node)."""
    np.save(directory / "embeddings.npy", found.embeddings)
    np.save(directory / "decoder.npy", found.decoder)
    popular = {
        f"{number}.{end}": each
        for number, both in enumerate(found.leaning.popular)
        for end, each in zip(ENDS, both, strict=True)
    }
    np.savez(directory / "leaning.npz", strength=found.leaning.strength, **popular)
    described = {
        "scale": found.scale,
        "node_types": graph.node_types,
        "type_offsets": [int(offset) for offset in graph.type_offsets],
        "relations": [relation.key for relation in graph.relations],
    }
    (directory / "embeddings.json").write_text(json.dumps(described, indent=1) + "\n")
    width = found.embeddings.shape[1]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(found.embeddings.ravel()), width)
    columns = {name: pa.array(graph.nodes[name].astype(str)) for name in ("node_type", "node_id", "node_name")}
    pq.write_table(pa.table({**columns, "embedding": rows}), directory / "embeddings.parquet")


def load_embeddings(directory: Path) -> Embeddings:
    """What `save_embeddings` wrote; arrays are memory-mapped."""
    embeddings, decoder = (np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("embeddings", "decoder"))
    scale = float(json.loads((directory / "embeddings.json").read_text())["scale"])
    with np.load(directory / "leaning.npz") as kept:
        popular = [tuple(kept[f"{number}.{end}"] for end in ENDS) for number in range(len(decoder))]
        return Embeddings(embeddings, decoder, scale, Leaning(kept["strength"], popular))


def write_csv(path: Path, found: Embeddings, graph: KnowledgeGraph) -> None:
    """The seed's table: node_id, node_name, node_type, embedding as a JSON list."""
    table = graph.nodes[["node_id", "node_name", "node_type"]].copy()
    table["embedding"] = [json.dumps([float(f"{x:.7g}") for x in row]) for row in found.embeddings]
    table.to_csv(path, index=False)
