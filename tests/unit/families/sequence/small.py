"""A small table with two studies, and networks of a size for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from ml_core.families.sequence.data import Distances, SampleTable, Tree
from ml_core.families.sequence.model import SequenceEncoder
from ml_core.families.sequence.model_settings import EncoderSettings

SIZES = {
    "dim": 8,
    "asv_layers": 1,
    "sample_layers": 1,
    "heads": 2,
    "dropout": 0.0,
    "patch_bp": 3,
    "pooling": "place",
    "embedding_dim": 12,
    "clades": 16,
    "nucleotide_hidden": 8,
}


def small_table(*, samples: int = 12, asvs: int = 10, length_bp: int = 20, seed: int = 0) -> SampleTable:
    """Random counts, sequences of mixed length, two samples per subject, `age` and `diet` in the metadata."""
    rng = np.random.default_rng(seed)
    whole = rng.poisson(3, (samples, asvs)) * (rng.random((samples, asvs)) < 0.7) * 10
    whole[:, 0] += 60  # deep enough for all
    lengths = rng.integers(length_bp - 5, length_bp + 1, asvs)
    sequences = ["".join(rng.choice(list("ACGTN"), size, p=[0.24] * 4 + [0.04])) for size in lengths]
    counts = sparse.csr_matrix(np.minimum(whole, 30).astype(np.int32))
    metadata = pd.DataFrame(
        {
            "age": np.arange(samples, dtype=float),
            "diet": np.array(["milk", "solid"], object)[np.arange(samples) % 2],
            "site": np.array(["gut"] * samples, object),
        }
    )
    return SampleTable(
        sample_ids=np.array([f"s{number}" for number in range(samples)], object),
        asv_ids=np.array([f"a{number}" for number in range(asvs)], object),
        sequences=np.array(sequences, object),
        counts=counts,
        whole=sparse.csr_matrix(whole.astype(np.int32)),
        metadata=metadata,
        study=np.zeros(samples, np.int8),
        depth=50,
        seed=0,
        tree=Tree(np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int32)),
    )


def small_distances(samples: int = 12, *, seed: int = 1) -> Distances:
    """A symmetric random matrix with a zero diagonal."""
    drawn = np.random.default_rng(seed).random((samples, samples)).astype(np.float32)
    matrix = (drawn + drawn.T) / 2
    np.fill_diagonal(matrix, 0)
    return Distances(matrix, np.ones(samples), "unweighted")


def small_settings(**changes: object) -> EncoderSettings:
    return EncoderSettings(**{**SIZES, "block_samples": 4, **changes})


def small_encoder(*, metric: str = "unweighted", **changes: object) -> SequenceEncoder:
    return SequenceEncoder(max_bp=20, metric=metric, **{**SIZES, **changes}).eval()
