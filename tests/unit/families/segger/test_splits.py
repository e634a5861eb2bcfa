"""Blocks are dealt out whole, nothing is shared across splits, and the check notices when something is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ml_core.families.segger.blocks import good_assignments, group_tiles
from ml_core.families.segger.data import SPLITS, load_graph, load_splits, load_tiles
from ml_core.families.segger.gather import gather
from ml_core.families.segger.splits import leaks
from ml_core.families.segger.tiles import cut_into_tiles


@pytest.fixture
def loaded(sample):
    return (
        load_graph(sample.folder / "graph"),
        load_tiles(sample.folder / "tiles"),
        load_splits(sample.folder / "splits"),
    )


def test_no_node_and_no_edge_is_shared(sample, loaded) -> None:
    graph, tiles, splits = loaded
    seen = [gather(graph, tiles=tiles, index=index, splits=splits) for index in range(len(tiles))]
    assert set(leaks(splits, graph=graph, seen=seen).values()) == {0}
    assert all(check.passed for check in sample.summaries["splits"].checks)
    assert sample.summaries["splits"].numbers["split.shared_edges"] == 0


def test_a_planted_leak_is_seen_by_the_check(loaded) -> None:
    graph, tiles, splits = loaded
    with_foreign_halo = [gather(graph, tiles=tiles, index=index) for index in range(len(tiles))]
    found = leaks(splits, graph=graph, seen=with_foreign_halo)
    assert all(found[name] > 0 for name in ("shared_transcripts", "shared_nuclei", "shared_edges", "crossing_edges"))


def test_one_transcript_seen_by_two_splits_is_one_leak(loaded) -> None:
    graph, tiles, splits = loaded
    train, test = splits.tiles_of("train")[0], splits.tiles_of("test")[0]
    mine = gather(graph, tiles=tiles, index=train, splits=splits)
    stolen = gather(graph, tiles=tiles, index=test, splits=splits)
    stolen = replace(stolen, transcripts=np.append(stolen.transcripts[:-1], mine.transcripts[0]))
    assert leaks(splits, graph=graph, seen=[mine, stolen])["shared_transcripts"] == 1


def test_supervised_transcripts_of_two_splits_are_a_guard_apart(loaded) -> None:
    graph, _, splits = loaded
    for number in range(len(SPLITS)):
        mine = splits.supervised & (splits.transcript == number)
        nearest, _ = cKDTree(graph.xy[splits.transcript != number]).query(graph.xy[mine], k=1)
        assert nearest.min() > 5.0


def test_a_nucleus_in_two_splits_is_not_supervised(loaded) -> None:
    graph, _, splits = loaded
    nuclear = graph.nucleus >= 0
    mixed = splits.transcript[nuclear] != splits.nucleus[graph.nucleus[nuclear]]
    assert mixed.any()
    divided = np.unique(graph.nucleus[nuclear][mixed])
    assert not splits.supervised[np.isin(graph.nucleus, divided)].any()


def test_every_transcript_follows_its_tile_and_shares_are_met(sample, loaded) -> None:
    _, tiles, splits = loaded
    np.testing.assert_array_equal(splits.transcript[tiles.owned], np.repeat(splits.tile, np.diff(tiles.owned_offsets)))
    for name, wanted in zip(SPLITS, (0.7, 0.2, 0.1), strict=True):
        assert sample.summaries["splits"].numbers[f"split.{name}_share"] == pytest.approx(wanted, abs=0.05)
    assert (sample.folder / "splits" / "figures" / "splits.png").stat().st_size < 60_000


@pytest.mark.parametrize(("tiles", "blocks"), [(3, 3), (7, 3), (20, 20), (47, 20), (64, 5)])
def test_blocks_are_rectangles_that_cover_the_sample(tiles: int, blocks: int) -> None:
    xy = np.random.default_rng(0).uniform(0, 80, (900, 2)).astype(np.float32)
    cut = cut_into_tiles(xy, count=tiles, halo_um=0.0)
    grouped = group_tiles(cut, count=blocks)
    assert np.unique(grouped.of_tile).tolist() == list(range(blocks))
    sides = grouped.rectangles[:, 2:] - grouped.rectangles[:, :2]
    assert sides.prod(1).sum() == pytest.approx(float((xy.max(0) - xy.min(0)).prod()), rel=1e-4)
    assert grouped.transcripts.sum() == 900


def test_the_same_seed_deals_the_same_blocks_and_no_split_is_empty() -> None:
    xy = np.random.default_rng(0).uniform(0, 80, (900, 2)).astype(np.float32)
    for count in (3, 5, 20):
        blocks = group_tiles(cut_into_tiles(xy, count=20, halo_um=0.0), count=count)
        first, again = (good_assignments(blocks, shares=(0.7, 0.2, 0.1), draws=500, seed=4) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert all(set(deal) == {0, 1, 2} for deal in first.tolist())


def test_another_seed_gives_another_test_set() -> None:
    xy = np.random.default_rng(0).uniform(0, 80, (900, 2)).astype(np.float32)
    blocks = group_tiles(cut_into_tiles(xy, count=32, halo_um=0.0), count=16)
    tests = {tuple(good_assignments(blocks, shares=(0.7, 0.2, 0.1), draws=500, seed=seed)[0] == 2) for seed in range(6)}
    assert len(tests) > 2


def test_borders_of_two_blocks_are_as_long_as_they_touch() -> None:
    xy = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2).astype(np.float32)
    blocks = group_tiles(cut_into_tiles(xy, count=2, halo_um=0.0), count=2)
    np.testing.assert_allclose(blocks.borders(), [[0, 9], [9, 0]])
