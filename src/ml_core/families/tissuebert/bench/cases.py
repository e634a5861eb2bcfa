"""What is measured of TissueBERT."""

from __future__ import annotations

from ml_core.bench.case import Case, Growth

CASES = (
    Case(
        "tissuebert-step",
        "the encoder's step beside nn.TransformerEncoder and the matrix products' limit",
        "ml_core.families.tissuebert.bench.encoder:rows",
    ),
    Case(
        "tissuebert-read",
        "random rows beside a gzip chunk for each sample",
        "ml_core.families.tissuebert.bench.hdf5_reads:rows",
    ),
    Case("tissuebert-tokens", "3-mers beside a dict loop", "ml_core.families.tissuebert.bench.tokens:rows"),
)

GROWTH = Growth(
    unit="reads",
    counted=("regions", "regions.reads"),
    grows={"raw.regions": 80},
    settings={
        "raw": {"tissues": 5, "donors": 5, "depth": 40},
        "model": {"max_epochs": 1, "validation_reads": 300},
        "mixtures": {
            "depths": [5],
            "cfdna": 2,
            "dirichlet": 1,
            "validation": 2,
            "grid_fractions": [0.2],
            "grid_repeats": 1,
            "blanks": 2,
            "missing_fractions": [0.0],
            "missing_repeats": 1,
        },
        "report": {"pooled_reads": [10, 50], "draws": 2, "bootstrap_draws": 50},
    },
)
