"""What is measured of Segger."""

from __future__ import annotations

from ml_core.bench.case import Case, Growth

CASES = (
    Case(
        "segger-graph",
        "edges beside scikit-learn and shapely, neighbours beside an unsorted tree",
        "ml_core.families.segger.bench.edges:rows",
    ),
    Case("segger-step", "a training step beside PyG's GATv2Conv", "ml_core.families.segger.bench.step:rows"),
)

GROWTH = Growth(
    unit="transcripts",
    counted=("graph", "graph.transcripts"),
    grows={"raw.cells": 400},
    settings={"raw": {"preset": "hard"}, "model": {"max_epochs": 1}, "report": {"bootstrap_draws": 50}},
)
