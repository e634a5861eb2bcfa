"""Sizes of the graph and of its embeddings."""

from __future__ import annotations

from ml_core.settings import Settings, setting
from ml_core.training.settings import TrainingSettings


class GraphSettings(Settings):
    nodes: int = setting(24, description="Nodes", ge=4)
    edges: int = setting(60, description="Edges", ge=4)


class ModelSettings(TrainingSettings):
    width: int = setting(16, description="Length of an embedding", ge=1)


class ReportSettings(Settings):
    bins: int = setting(10, description="Bars of the histogram", ge=1)
