"""Each transcript has one owner, and a tile sees everything within the halo's reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.segger import tiles as tiles_stage
from ml_core.families.segger.data import load_graph, load_tiles
from ml_core.families.segger.gather import gather
from ml_core.families.segger.settings import TilesSettings
from ml_core.families.segger.tiles import cut_into_tiles


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), halo=st.floats(0, 20), grid=st.booleans())
def test_tiles_are_balanced_own_everything_once_and_see_all_around(
    seed: int, count: int, halo: float, grid: bool
) -> None:
    xy = np.random.default_rng(seed).uniform(0, 50, (150, 2)).astype(np.float32)
    xy = np.round(xy / 5) * 5 if grid else xy  # many ties
    tiles = cut_into_tiles(xy, count=count, halo_um=halo)
    assert sorted(tiles.owned) == list(range(150))
    sizes = np.diff(tiles.owned_offsets)
    assert sizes.max() - sizes.min() <= 1 + count.bit_length()
    for tile in range(count):
        owned = tiles.owned_by(tile)
        gap = np.maximum(np.maximum(xy[owned].min(0) - xy, xy - xy[owned].max(0)), 0)
        near = np.flatnonzero((gap * gap).sum(1) <= halo * halo)
        np.testing.assert_array_equal(tiles.halo_of(tile), np.setdiff1d(near, owned))
        assert np.all(tiles.regions[tile, :2] <= tiles.boxes[tile, :2])
        assert np.all(tiles.regions[tile, 2:] >= tiles.boxes[tile, 2:])


def test_regions_cover_the_sample_without_overlap() -> None:
    xy = np.random.default_rng(0).uniform(0, 50, (500, 2)).astype(np.float32)
    regions = cut_into_tiles(xy, count=7, halo_um=0.0).regions
    sides = regions[:, 2:] - regions[:, :2]
    assert sides.prod(1).sum() == pytest.approx(float((xy.max(0) - xy.min(0)).prod()), rel=1e-5)


def test_a_gathered_tile_has_the_edges_of_the_whole_sample(sample) -> None:
    graph, tiles = load_graph(sample.folder / "graph"), load_tiles(sample.folder / "tiles")
    for view in graph.views:
        for index in range(len(tiles)):
            tile = gather(graph, tiles=tiles, index=index, view=view)
            owned = tile.transcripts[: tile.owned]
            np.testing.assert_array_equal(owned, tiles.owned_by(index))
            there = tile.candidates[: tile.owned] >= 0
            back = np.where(there, tile.nuclei[tile.candidates[: tile.owned]], -1)
            np.testing.assert_array_equal(back, graph.views[view].candidates[owned])
            near = tile.neighbours[: tile.owned]
            back = np.where(near >= 0, tile.transcripts[near], -1)
            np.testing.assert_array_equal(back, graph.neighbours[owned])  # the halo holds every neighbour of the owned


def test_a_gathered_tile_knows_distances_offsets_and_own_nuclei(sample) -> None:
    graph, tiles = load_graph(sample.folder / "graph"), load_tiles(sample.folder / "tiles")
    tile = gather(graph, tiles=tiles, index=3, view="0.50")
    row, column = np.nonzero(tile.candidates >= 0)
    expected = tile.centroids[tile.candidates[row, column]] - tile.xy[row]
    np.testing.assert_allclose(tile.offset[row, column], expected)
    assert np.all(np.isinf(tile.distance[tile.candidates < 0]))
    assert np.all(tile.offset[tile.candidates < 0] == 0)
    nuclear = tile.nucleus >= 0
    np.testing.assert_array_equal(tile.nuclei[tile.nucleus[nuclear]], graph.nucleus[tile.transcripts[nuclear]])
    assert tile.supervised.sum() == tile.owned


def test_a_sample_with_fewer_transcripts_than_tiles_is_refused(sample, stages) -> None:
    (stages.folder / "graph").symlink_to(sample.folder / "graph")
    with pytest.raises(UserError, match=r"cannot be cut into 100000 tiles; lower tiles.min_tiles"):
        stages.run("tiles", tiles_stage.build, TilesSettings(min_tiles=100_000), "graph")


def test_tiles_report_their_overlap(sample) -> None:
    numbers = sample.summaries["tiles"].numbers
    tiles = load_tiles(sample.folder / "tiles")
    assert numbers["tiles.tile_overlap"] == pytest.approx(1 + len(tiles.halo) / len(tiles.owned))
    assert all(check.passed for check in sample.summaries["tiles"].checks)
