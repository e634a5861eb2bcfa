"""A sample of 48 cells for the tests of the model half, and the settings that are small enough for it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ml_core.artifacts import Artifact, Store
from ml_core.families.segger.data import FULL, Graph, Splits, Tiles
from ml_core.families.segger.expression import Profiles
from ml_core.families.segger.family import FAMILY
from ml_core.families.segger.model import Segger
from ml_core.families.segger.pooling import profiles_of
from ml_core.families.segger.samples import Negatives, TileSamples
from ml_core.families.segger.task import SeggerTask
from ml_core.settings import Settings

TINY = {
    "raw": {"cells": 48, "genes": 40, "cell_types": 3},
    "graph": {"shrunken_shares": [0.4, 0.5, 0.6]},
    "tiles": {"min_tiles": 10, "halo_um": 10.0},
    "splits": {"guard_um": 4.0},
    "model": {
        "hidden_channels": 16,
        "num_mid_layers": 1,
        "out_channels": 8,
        "max_epochs": 2,
        "tensorboard": False,
        "device": "cpu",
        "threads": 1,
    },
    "predictions": {"polygons": "both", "anndata": True, "xeniumranger": True},
    "report": {"bootstrap_draws": 20},
}
EXTRAS = all(importlib.util.find_spec(name) for name in ("anndata", "geopandas"))


def tiny_settings(stage: str, **changes: Any) -> Settings:
    """The stage's settings for the tiny sample."""
    values = TINY.get(stage, {}) | changes
    if stage == "predictions" and not EXTRAS:
        values |= {"polygons": "geojson", "anndata": False}
    return FAMILY[stage].settings(**values)


def as_arguments(stage: str, **changes: Any) -> list[str]:
    """The same for the command line."""
    fields = tiny_settings(stage, **changes).model_dump(mode="json", exclude_unset=True)
    return [part for name, value in fields.items() for part in ("--set", f"{stage}.{name}={json.dumps(value)}")]


@dataclass(frozen=True, repr=False)
class Tiny:
    """Artifacts by stage in one store, and what the data stages left, in memory."""

    store: Store
    artifacts: dict[str, Artifact]
    graph: Graph
    tiles: Tiles
    splits: Splits

    def profiles(self, graph: Graph, view: str) -> Profiles:
        return profiles_of(graph, view=view, neighbours=10, prior=10.0, components=5, stray_share=0.25, stray_um=30.0)

    def samples(self, *, view: str = FULL, graph: Graph | None = None, **changes: Any) -> TileSamples:
        """All tiles in one view, with splits, each transcript masked with a chance of 0.3."""
        graph = graph or self.graph
        if isinstance(changes.get("profiles", self), Profiles):
            changes["profiles"] = {view: changes["profiles"]}
        fields = {
            "tiles": self.tiles,
            "chosen": np.arange(len(self.tiles)),
            "splits": self.splits,
            "views": {view: 1.0},
            "profiles": {} if "profiles" in changes else {view: self.profiles(graph, view)},
            "tokens": np.arange(len(graph.genes)),
            "mask": len(graph.genes),
            "negatives": Negatives(),
            "mask_share": 0.3,
        }
        return TileSamples(graph, **(fields | changes))

    def network(self, **sizes: Any) -> Segger:
        torch.manual_seed(0)
        model = Segger(
            len(self.graph.genes), **({"hidden_channels": 16, "out_channels": 8, "num_mid_layers": 2} | sizes)
        )
        model.standardise(torch.from_numpy(np.array(self.graph.views[FULL].features)))
        return model.eval()

    def task(self, **options: Any) -> SeggerTask:
        return SeggerTask(self.network(), weights={"ring": 2.0, "inner": 0.3, "gene": 2.0}, **options)


def in_memory(data: Any) -> Any:
    """A dataclass of memory maps with arrays of its own, so that a test may change a copy."""
    changes = {}
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray):
            changes[field.name] = np.array(value)
        elif field.name == "views":
            changes[field.name] = {name: in_memory(view) for name, view in value.items()}
    return dataclasses.replace(data, **changes)
