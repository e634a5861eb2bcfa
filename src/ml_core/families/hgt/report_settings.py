"""Settings of the stages `embeddings`, `controls` and `report`, and of the command `predict`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal

import pydantic

from ml_core.settings import Settings, setting


class EmbeddingsSettings(Settings):
    """All nodes encoded by the trained model, and in which form they are written."""

    nodes_per_chunk: int = setting(
        8_192,
        description="Nodes of a layer that are encoded at a time; bounds the memory",
        unit="nodes",
        affects_result=False,
        ge=1,
    )
    csv: bool = setting(
        False, description="Also write embeddings.csv: node_id, node_name, node_type, embedding as a JSON list"
    )


class ControlsSettings(Settings):
    """DistMult is trained for all of the model's epochs; of the constant network there is little to be learnt."""

    constant_share: float = setting(
        0.05, description="Share of the model's epochs that the network on constant vectors is trained for", gt=0, le=1
    )


class ReportSettings(Settings):
    """What the embeddings are asked, beside which controls, and when they fail."""

    main_relation: str = setting(
        "auto",
        description="The relation that the page leads with and the classifier learns; auto: the drug-disease relation "
        "of therapy (indication, treats, CtD), else the largest between diseases and genes, else the largest",
    )
    max_test_edges: int = setting(
        3_000,
        description="Test edges of a relation that are asked for, drawn at random where it has more; 0 asks for all",
        unit="edges",
        ge=0,
    )
    negatives_per_edge: int = setting(
        10, description="Corrupted pairs for each test edge in AUROC and AUPRC, half of them on each side", ge=2
    )
    bootstrap_draws: int = setting(1_000, description="Resamplings of the test edges behind each interval", ge=10)
    least_edges: int = setting(
        500,
        description="Test edges from which a relation counts where models are compared over relations",
        unit="edges",
        ge=1,
    )
    metapath_pairs: int = setting(
        1_000_000,
        description="The main relation is also held against regression on path counts where its two types have at most "
        "so many pairs, for it needs features of all of them: about 0.2 GB for each 100,000",
        unit="pairs",
        ge=0,
    )
    curated: str | None = setting(
        None,
        description="Table (.tsv or .csv) of judged drug-disease pairs with drug and disease ids and a category; "
        "environment variables in the path are filled in",
    )
    curated_negative: str = setting("NOT", description="Category of the curated pairs that are no indications")
    beside: str | None = setting(
        None,
        description="Another report's directory, shown beside this one: for instance that of the random split beside "
        "that of the disease holdout",
    )
    classifier: bool = setting(
        True, description="Train a gradient-boosted classifier on the embeddings, as their users do"
    )
    min_effective_rank: float = setting(
        10.0, description="Less in any type of nodes fails the verdict (less is asked of small types)", ge=1
    )
    max_within_cosine: float = setting(
        0.95, description="A greater mean cosine within any type of nodes fails the verdict", gt=0, le=1
    )
    warn_within_cosine: float = setting(
        0.8, description="A greater mean cosine within any type of nodes warns", gt=0, le=1
    )
    min_type_nodes: int = setting(
        10, description="Types of fewer nodes are shown but not judged: so few have no shape", unit="nodes", ge=2
    )
    shown_nodes: int = setting(
        400, description="Nodes of each type in the PCA figure", unit="nodes", affects_result=False, ge=10
    )
    seed: int = setting(0, description="Seed of sampled edges, negatives, resamplings and the classifier", ge=0)

    @pydantic.field_validator("negatives_per_edge")
    @classmethod
    def _even(cls, count: int) -> int:
        if count % 2:
            raise ValueError("must be even, half for each side")
        return count

    def result_fields(self) -> dict[str, Any]:
        """Files count by their content, not by their names."""
        fields = super().result_fields()
        for name, path in (("curated", self.curated_path()), ("beside", self.beside_path())):
            if path is not None and path.is_file():
                fields[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return fields

    def curated_path(self) -> Path | None:
        return _path(self.curated)

    def beside_path(self) -> Path | None:
        """The metrics.json of the other report."""
        path = _path(self.beside)
        return None if path is None else path / "metrics.json"


def _path(text: str | None) -> Path | None:
    return Path(os.path.expandvars(text)).expanduser() if text else None


class PredictSettings(Settings):
    """A question to a trained model: the options of `python -m ml_core predict hgt`."""

    disease: str | None = setting(None, description="Name or id of a disease: which drugs?")
    drug: str | None = setting(None, description="Name or id of a drug: which diseases?")
    edges: str | None = setting(
        None,
        description="CSV of the edges of a disease that the graph does not have (columns relation and node, by name or "
        "id): which drugs?",
    )
    top: int = setting(20, description="How many are shown", ge=1)
    paths: int = setting(3, description="Evidence paths of each; 0 for none", ge=0)
    relation: str = setting("auto", description="The relation that is predicted; auto: as in the report")
    known: Literal["exclude", "include"] = setting(
        "exclude", description="Pairs that the graph has already, of whatever split"
    )
