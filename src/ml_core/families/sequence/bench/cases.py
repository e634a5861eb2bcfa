"""What is measured of the sequence family."""

from __future__ import annotations

from ml_core.bench.case import Case, Growth

CASES = (
    Case("sequence-step", "each ASV once beside padded slots", "ml_core.families.sequence.bench.step:rows"),
    Case(
        "sequence-asv",
        "the ASV encoder beside nn.TransformerEncoder",
        "ml_core.families.sequence.bench.asv_encoder:rows",
    ),
    Case("unifrac", "distances beside scikit-bio", "ml_core.families.sequence.bench.unifrac:rows"),
)

GROWTH = Growth(
    unit="samples",
    counted=("unifrac", "unifrac.samples"),
    grows={"raw.subjects": 20, "raw.extra_samples": 40},
    settings={
        "raw": {"samples_per_subject": 6, "asvs": 200, "clades": 12, "reads": 2000},
        "table": {"depth": 500},
        "splits": {"stratify_by": "trait"},
        "encoder": {"dim": 32, "clades": 128, "block_samples": 8, "max_epochs": 2},
        "predictor": {"members": 2, "rarefactions": 3, "interval_folds": 3, "max_epochs": 4},
        "report": {"bootstrap_draws": 50, "label_shares": [0.5], "label_modes": ["frozen"]},
    },
)
