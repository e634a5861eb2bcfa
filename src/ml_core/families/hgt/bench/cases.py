"""What is measured of HGT."""

from __future__ import annotations

from ml_core.bench.case import Case, Growth

CASES = (
    Case("hgt-attention", "one layer beside PyG's HGTConv", "ml_core.families.hgt.bench.attention:rows"),
    Case("hgt-epoch", "an epoch's layers beside gathers and scatters", "ml_core.families.hgt.bench.layers:rows"),
    Case("hgt-distmult", "an epoch of DistMult beside pykeen", "ml_core.families.hgt.bench.distmult:rows"),
    Case("hgt-large", "a graph of PrimeKG's size from its file to embeddings", "ml_core.families.hgt.bench.large:rows"),
)

GROWTH = Growth(
    unit="edges",
    counted=("graph", "graph.edges"),
    grows={"raw.nodes": 8000},
    settings={
        "model": {"embedding_dim": 64, "hidden_dim": 64, "negatives": 128, "max_epochs": 4, "validate_every_epochs": 4},
        "report": {"bootstrap_draws": 50, "max_test_edges": 200},
    },
)
