"""A graph of PrimeKG's size from its file to embeddings, stage by stage, each in a process of its own.

The file is the simulator's: as many nodes of each type and edges of each relation as PrimeKG has, each edge in both
directions, as there. One epoch with layers on the whole graph, all edges that are not hidden sending, and a validation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ml_core.bench.case import Reach, Request, Row, Side
from ml_core.bench.growth import costs_of_stages
from ml_core.bench.growth_fit import MACHINE_GB
from ml_core.families.hgt.family import FAMILY
from ml_core.families.hgt.primekg_counts import NODES

QUICK_NODES = 300
LAST = "embeddings"  # controls and report ask what was learnt, and are left out
WHAT = {
    "raw": "simulate and write",
    "graph": "load and check",
    "splits": "split",
    "model": "one epoch and a validation",
    "embeddings": "encode, balance and write",
}


def rows(request: Request) -> list[Row]:
    given = settings(QUICK_NODES if request.quick else NODES)
    with tempfile.TemporaryDirectory() as folder:
        made, costs = costs_of_stages(FAMILY, given, data=Path(folder), until=LAST)
        numbers = made["graph"].summary.numbers
        size = f"{numbers['graph.nodes']:,} nodes, {numbers['graph.edges']:,} edges"
    found = [
        Row(
            f"{name}: {WHAT[name]}, {size}",
            Side("peak", cost.before_gb + cost.grown_gb, "GB"),
            reach=Reach(most=MACHINE_GB),
            note=f"{cost.cpu_seconds:.3g} CPU-s",
            rounds=1,
            series={"cpu_seconds": [cost.cpu_seconds], "grown_gb": [cost.grown_gb]},
        )
        for name, cost in costs.items()
    ]
    total = sum(cost.cpu_seconds for cost in costs.values())
    return [*found, Row(f"all of them, {size}", Side("ml_core", total, "CPU-s"), rounds=1)]


def settings(nodes: int) -> dict[str, dict[str, Any]]:
    """Of each stage: what differs from the defaults."""
    return {
        "raw": {"nodes": nodes},
        "graph": {"include_node_types": []},
        "model": {
            "mode": "full",
            "vector_share": 0.0,
            "message_share": 1.0,
            "slices": 8,
            "batch_size": 8,
            "max_epochs": 1,
            "validate_every_epochs": 1,
        },
    }
