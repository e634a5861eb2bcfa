"""The simulator is deterministic, writes a genuine bundle, and its hard preset is hard for geometry alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely

from ml_core.artifacts import file_digests
from ml_core.families.segger import simulate
from ml_core.families.segger.data import load_graph
from ml_core.families.segger.readers import xenium
from ml_core.families.segger.settings import RawSettings
from ml_core.families.segger.tissue import PRESETS, draw_categories, draw_inside, grow
from tests.unit.families.segger.conftest import run_data_stages


def written(folder: Path, **fields: object) -> Path:
    folder.mkdir()
    simulate.simulate(folder, settings=RawSettings(cells=30, genes=20, **fields))
    return folder


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again = file_digests(written(tmp_path / "a")), file_digests(written(tmp_path / "b"))
    assert first == again
    assert file_digests(written(tmp_path / "c", seed=1)) != first


def test_the_bundle_is_one_that_the_reader_of_real_bundles_reads(tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    sample = xenium.read(folder / "transcripts.parquet", nucleus_boundaries=folder / "nucleus_boundaries.parquet")
    assert len(sample.boundaries.ids) == 30
    assert {"GENE0000", "NegControlProbe_00000"} & set(sample.features)
    assert 0 < sample.in_nucleus.mean() < 1
    assert (sample.cell == -1).any()
    assert sample.qv.min() < 20 < sample.qv.max() <= 40
    assert set(pd.read_csv(folder / "reference.csv").columns) >= {"cell_type", "GENE0000"}


def test_the_vendors_cells_are_nuclei_grown_by_a_distance(tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    table = pd.read_parquet(folder / "transcripts.parquet")
    assigned = table.cell_id != "UNASSIGNED"
    assert table.nucleus_distance[assigned].max() <= simulate.EXPANSION_UM
    assert (table.nucleus_distance[table.overlaps_nucleus == 1] == 0).all()


@pytest.mark.parametrize(("preset", "low", "high"), [("easy", 0.93, 1.0), ("hard", 0.65, 0.8)])
def test_nearest_nucleus_is_right_where_it_is_easy_and_often_wrong_where_it_is_hard(
    stages, preset: str, low: float, high: float
) -> None:
    run_data_stages(stages, RawSettings(preset=preset, cells=200, genes=40))
    graph = load_graph(stages.folder / "graph")
    truth = pd.read_parquet(stages.folder / "transcripts" / "transcripts.parquet").true_nucleus.to_numpy()[graph.rows]
    candidates = graph.views["full"].candidates[truth >= 0]
    right = candidates == truth[truth >= 0, None]
    assert low < right[:, 0].mean() < high
    assert right.any(axis=1).mean() > 0.93  # a model can find what the nearest nucleus misses


@pytest.mark.parametrize("preset", ["easy", "hard"])
def test_points_are_drawn_inside_their_outline(preset: str) -> None:
    rng = np.random.default_rng(0)
    tissue = grow(PRESETS[preset], cells=20, rng=rng)
    of = np.repeat(np.arange(20), 50)
    points = draw_inside(tissue.cells, centres=tissue.cell_centres, of=of, rng=rng)
    assert shapely.dwithin(shapely.polygons(tissue.cells)[of], shapely.points(points), 1e-9).all()


def test_categories_are_drawn_by_their_weights() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([[1.0, 0, 3], [0, 1, 0]])
    drawn = draw_categories(weights, of=np.repeat([0, 1], 8000), rng=rng)
    np.testing.assert_allclose(np.bincount(drawn[:8000], minlength=3) / 8000, [0.25, 0, 0.75], atol=0.02)
    assert (drawn[8000:] == 1).all()


def test_cell_names_have_the_form_of_xenium() -> None:
    assert simulate.cell_name(0) == "aaaaaaaa-1"
    assert simulate.cell_name(0x1F) == "aaaaaabp-1"
