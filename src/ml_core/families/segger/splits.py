"""Training, validation and test as contiguous blocks of tiles, with a guard band, and the proof that nothing leaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ml_core.errors import UserError
from ml_core.families.segger.blocks import Blocks, good_assignments, group_tiles
from ml_core.families.segger.data import SPLITS, Graph, Splits, Tiles, load_graph, load_tiles, save_arrays
from ml_core.families.segger.gather import Tile, gather
from ml_core.families.segger.settings import SplitsSettings
from ml_core.families.segger.splits_figure import draw_map
from ml_core.running import StageRun
from ml_core.summary import Summary

MOST_TRIED = 50
RELEASE_EVERY = 64  # tiles


def build(run: StageRun) -> Summary:
    """Deal blocks of tiles out to the splits, mark what may be supervised, and count what two splits share."""
    settings: SplitsSettings = run.settings
    graph, tiles = load_graph(run.inputs["graph"].directory), load_tiles(run.inputs["tiles"].directory)
    if len(tiles) < 3:
        raise UserError(
            f"splits: {len(tiles)} tiles cannot make 3 splits; raise tiles.min_tiles or lower "
            "tiles.transcripts_per_tile."
        )
    blocks = group_tiles(tiles, count=min(settings.blocks, len(tiles)))
    shares = (settings.train, settings.validation, settings.test)
    deals = good_assignments(blocks, shares=shares, draws=settings.draws, seed=settings.seed)
    for assignment in deals[:MOST_TRIED]:
        splits = split(graph, tiles=tiles, blocks=blocks, assignment=assignment, guard_um=settings.guard_um)
        if fewest_supervised_nuclear(splits, graph=graph) > 0:
            break  # in a small sample the guard band can leave nothing of a split
    save_arrays(run.directory, **vars(splits))
    draw_map(run.directory / "figures" / "splits.png", graph=graph, blocks=blocks, assignment=assignment, splits=splits)
    return _summary(graph, tiles=tiles, blocks=blocks, splits=splits, settings=settings)


def split(graph: Graph, *, tiles: Tiles, blocks: Blocks, assignment: np.ndarray, guard_um: float) -> Splits:
    """Splits of transcripts, nuclei and tiles from the split of each block (`assignment` [blocks] int8)."""
    tile = assignment[blocks.of_tile]
    transcript = np.empty(len(graph.rows), np.int8)
    transcript[tiles.owned] = np.repeat(tile, np.diff(tiles.owned_offsets))
    nucleus = assignment[blocks.nearest(graph.views["full"].centroids)]
    supervised = _far_from_others(graph, tiles=tiles, blocks=blocks, assignment=assignment, guard_um=guard_um)
    supervised &= ~_of_divided_nucleus(graph.nucleus, transcript=transcript, nucleus=nucleus)
    return Splits(transcript, supervised, nucleus, tile, blocks.of_tile.astype(np.int32))


def leaks(splits: Splits, *, graph: Graph, seen: Iterable[Tile]) -> dict[str, int]:
    """What the gathered tiles share across splits, counted from their own node and edge lists.

    shared_transcripts and shared_nuclei: in the node lists of two splits; shared_edges: in the edge lists of two
    splits; crossing_edges: with ends that belong to different splits.
    """
    transcripts = np.zeros(len(graph.rows), np.uint8)  # a bit for each split
    nuclei = np.zeros(len(splits.nucleus), np.uint8)
    edges = np.zeros(graph.neighbours.shape, np.uint8)
    crossing = 0
    for tile in seen:
        bit = np.uint8(1 << splits.tile[tile.index])
        transcripts[tile.transcripts] |= bit
        nuclei[tile.nuclei] |= bit
        edges[tile.transcripts] |= np.where(tile.neighbours >= 0, bit, np.uint8(0))
        of = splits.transcript[tile.transcripts]
        crossing += _crossing(of, other=of, edges=tile.neighbours)
        crossing += _crossing(of, other=splits.nucleus[tile.nuclei], edges=tile.candidates)
    return {
        "shared_transcripts": _in_several(transcripts),
        "shared_nuclei": _in_several(nuclei),
        "shared_edges": _in_several(edges),
        "crossing_edges": crossing,
    }


def _in_several(bits: np.ndarray) -> int:
    """How many entries have more than one bit."""
    return int(np.count_nonzero(bits & (bits - np.uint8(1))))  # 0 - 1 wraps to 255, and 0 & 255 is 0


def _crossing(of: np.ndarray, *, other: np.ndarray, edges: np.ndarray) -> int:
    row, column = np.nonzero(edges >= 0)
    return int((of[row] != other[edges[row, column]]).sum())


def _far_from_others(
    graph: Graph, *, tiles: Tiles, blocks: Blocks, assignment: np.ndarray, guard_um: float
) -> np.ndarray:
    far = np.ones(len(graph.rows), bool)
    for block, rectangle in enumerate(blocks.rectangles):
        rows = np.concatenate([tiles.owned_by(tile) for tile in np.flatnonzero(blocks.of_tile == block)])
        others = blocks.rectangles[assignment != assignment[block]]
        for other in others[_gap(others, rectangle) <= guard_um]:
            points = graph.xy[rows]
            far[rows[_gap(np.hstack([points, points]), other) <= guard_um]] = False
    return far


def _gap(rectangles: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[n] distance in um from each rectangle [n, 4] to another one [4]."""
    beside = np.maximum(np.maximum(other[:2] - rectangles[:, 2:], rectangles[:, :2] - other[2:]), 0)
    return np.hypot(beside[:, 0], beside[:, 1])


def _of_divided_nucleus(of: np.ndarray, *, transcript: np.ndarray, nucleus: np.ndarray) -> np.ndarray:
    """[n] bool: the transcript's nucleus has transcripts, or its centroid, in another split."""
    nuclear = np.flatnonzero(of >= 0)
    divided = np.zeros(len(nucleus), bool)
    divided[of[nuclear[transcript[nuclear] != nucleus[of[nuclear]]]]] = True
    result = np.zeros(len(of), bool)
    result[nuclear] = divided[of[nuclear]]
    return result


def _every_tile(graph: Graph, *, tiles: Tiles, splits: Splits) -> Iterator[Tile]:
    for index in range(len(tiles)):
        yield gather(graph, tiles=tiles, index=index, splits=splits)
        if index % RELEASE_EVERY == RELEASE_EVERY - 1:
            graph.release()


def fewest_supervised_nuclear(splits: Splits, *, graph: Graph) -> int:
    """Nuclear transcripts outside the guard band, in the split that has fewest of them."""
    known = splits.supervised & (graph.nucleus >= 0)
    return int(np.bincount(splits.transcript[known], minlength=len(SPLITS)).min())


def _summary(graph: Graph, *, tiles: Tiles, blocks: Blocks, splits: Splits, settings: SplitsSettings) -> Summary:
    found = leaks(splits, graph=graph, seen=_every_tile(graph, tiles=tiles, splits=splits))
    n, labelled = len(splits.transcript), graph.nucleus >= 0
    rows = []
    for number, name in enumerate(SPLITS):
        mine = splits.transcript == number
        rows.append({
            "split": name,
            "transcripts": int(mine.sum()),
            "share": float(mine.mean()),
            "wanted": getattr(settings, name),
            "tiles": int((splits.tile == number).sum()),
            "nuclei": int((splits.nucleus == number).sum()),
            "supervised": int((mine & splits.supervised).sum()),
            "supervised nuclear": int((mine & splits.supervised & labelled).sum()),
        })  # fmt: skip
    fewest = fewest_supervised_nuclear(splits, graph=graph)
    summary = Summary(
        headline=f"{len(blocks.rectangles)} blocks: "
        + ", ".join(f"{row['split']} {row['share']:.0%}" for row in rows)
        + f"; {splits.supervised.mean():.0%} of {n:,} transcripts are outside the guard bands.",
        numbers={
            **{f"split.{name}": value for name, value in found.items()},
            **{f"split.{row['split']}_share": row["share"] for row in rows},
            "split.supervised_share": float(splits.supervised.mean()),
            "split.smallest_supervised_nuclear": fewest,
        },
        tables={"Splits": rows},
        figures={"Blocks and splits": "figures/splits.png"},
    )
    message = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in found.items())
    summary.check("no_leakage", not any(found.values()), message)
    summary.check(
        "all_splits_supervised",
        fewest > 0,
        f"the poorest split has {fewest:,} nuclear transcripts that may be supervised",
    )
    return summary
