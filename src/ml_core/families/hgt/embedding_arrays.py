"""Embeddings and what scores pairs of them, in memory and on disk: the model's, and those of its controls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_core.families.hgt.data import KnowledgeGraph
from ml_core.families.hgt.judges import EmbeddingJudge, Leaning

ENDS = ("head", "tail")


@dataclass(frozen=True)
class Embeddings:
    """What `judges.EmbeddingJudge` scores pairs by.

    **Shapes**: embeddings [n, f] float32, in the graph's order of nodes; decoder [r, f] float32.
    """

    embeddings: np.ndarray
    decoder: np.ndarray
    scale: float
    leaning: Leaning | None = None

    def judge(self, graph: KnowledgeGraph) -> EmbeddingJudge:
        """Scores of pairs of this graph."""
        return EmbeddingJudge(graph, self.embeddings, self.decoder, self.scale, self.leaning)


def save_arrays(directory: Path, found: Embeddings) -> None:
    """Write embeddings.npy, decoder.npy, scale.json and, where they lean, leaning.npz."""
    directory.mkdir(parents=True, exist_ok=True)
    np.save(directory / "embeddings.npy", found.embeddings)
    np.save(directory / "decoder.npy", found.decoder)
    (directory / "scale.json").write_text(json.dumps({"scale": found.scale}) + "\n")
    if found.leaning is not None:
        popular = {
            f"{number}.{end}": each
            for number, both in enumerate(found.leaning.popular)
            for end, each in zip(ENDS, both, strict=True)
        }
        np.savez(directory / "leaning.npz", strength=found.leaning.strength, **popular)


def load_arrays(directory: Path) -> Embeddings:
    """What `save_arrays` wrote; arrays are memory-mapped."""
    embeddings, decoder = (np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("embeddings", "decoder"))
    scale = float(json.loads((directory / "scale.json").read_text())["scale"])
    leaning = None
    if (directory / "leaning.npz").exists():
        with np.load(directory / "leaning.npz") as kept:
            popular = [tuple(kept[f"{number}.{end}"] for end in ENDS) for number in range(len(decoder))]
            leaning = Leaning(kept["strength"], popular)
    return Embeddings(embeddings, decoder, scale, leaning)
