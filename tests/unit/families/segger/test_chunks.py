"""A sample in chunks gives the graph, the profiles and the predictions of the whole sample, to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_core.artifacts import Artifact, file_digests
from ml_core.families.segger import assign, expression, graph, pooling, raw, results, sorting, stray, transcripts
from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import FULL, ArrayFile
from ml_core.families.segger.geometry import convex_hulls
from ml_core.families.segger.nearest import nearest_by_chunk, nearest_polygons
from ml_core.families.segger.settings import GraphSettings, RawSettings, TranscriptsSettings
from ml_core.families.segger.strips import WIDTH_UM, Strips, strip_of
from ml_core.running import StageRun
from tests.unit.families.segger.conftest import SimulatedSample, Stages
from tests.unit.families.segger.test_predict import run_predictions, segmentation
from tests.unit.families.segger.tiny import Tiny


def arrays_of(folder: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(folder).as_posix(): np.load(path) for path in sorted(folder.rglob("*.npy"))}


def graph_of(sample: SimulatedSample, folder: Path, **changes: object) -> dict[str, np.ndarray]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inputs = {"transcripts": Artifact(sample.folder / "transcripts")}
    made = GraphSettings(shrunken_shares=[0.5], workers=1, **changes)
    graph.build(StageRun(made, inputs, folder, folder / "work", folder / "cache"))
    return arrays_of(folder)


def assert_same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(other[name], values, err_msg=name)


@pytest.mark.parametrize("most", [1, 200, 777, 3000])
def test_chunks_of_any_size_give_the_graph_of_the_whole_sample(
    sample: SimulatedSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """120 easy cells lie 16 um apart in about 25 strips of 8 um, so that most borders go through cells."""
    whole = arrays_of(sample.folder / "graph")
    monkeypatch.setattr(sorting, "ROWS_AT_ONCE", 501)
    monkeypatch.setattr(graph, "QUERIES_AT_ONCE", 333)
    assert_same_arrays(whole, graph_of(sample, tmp_path / "graph", chunk_transcripts=most))


def test_the_chunks_settings_do_not_make_another_artifact() -> None:
    assert GraphSettings(chunk_transcripts=7).result_fields() == GraphSettings().result_fields()


# ---------------------------------------------------------------- candidates


@given(
    seed=st.integers(0, 10_000),
    borders=st.lists(st.integers(0, 14), max_size=5),
    reach=st.sampled_from([0.0, 3.0, 15.0, 40.0]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_nearest_polygons_chunk_by_chunk_are_those_of_all_points(
    tmp_path: Path, seed: int, borders: list[int], reach: float
) -> None:
    """Any borders between strips: none, in a crowd, and twice the same, which makes an empty chunk."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(0, 100, (300, 2)), rng.normal(50, 3, (300, 2))]).astype(np.float32)
    strips = Strips.of(points)
    xy = points[strips.order]
    spread = np.repeat(rng.uniform(-10, 115, (40, 2)), 6, axis=0)
    polygons = convex_hulls(
        (spread + rng.normal(0, 4, spread.shape)).astype(np.float32), group=np.repeat(np.arange(40), 6), groups=40
    )
    np.save(tmp_path / "xy.npy", xy)
    last = len(strips.starts) - 1
    chunks = Chunks(strips.left_um, strips.starts, np.array([0, *sorted(min(each, last) for each in borders), last]))
    found = nearest_by_chunk(chunks, ArrayFile.of(tmp_path / "xy.npy"), polygons=polygons, k=3, max_distance_um=reach)
    index, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    expected = nearest_polygons(xy, polygons=polygons, k=3, max_distance_um=reach)
    np.testing.assert_array_equal(index, expected[0])
    np.testing.assert_array_equal(distance, expected[1])


# ---------------------------------------------------------------- sorting


def written(folder: Path, *, xy: np.ndarray, status: np.ndarray) -> Path:
    n, path = len(xy), folder / "transcripts.parquet"
    columns = {
        "x_um": xy[:, 0],
        "y_um": xy[:, 1],
        "z_um": np.arange(n, dtype=np.float32),
        "gene": np.arange(n, dtype=np.int32),
        "nucleus": np.full(n, -1, np.int32),
        "status": status,
    }
    pq.write_table(pa.table(columns), path, row_group_size=97)
    return path


@pytest.mark.parametrize("most", [1, 50, 10_000])
def test_rows_are_sorted_on_disk_as_in_memory_and_equal_places_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    rng = np.random.default_rng(0)
    xy = rng.integers(0, 60, (1000, 2)).astype(np.float32) + np.float32(1000)
    status = rng.choice([0, 0, 0, 1, 2], 1000).astype(np.int8)
    monkeypatch.setattr(sorting, "ROWS_AT_ONCE", 101)
    chunks = sorting.sort_transcripts(written(tmp_path, xy=xy, status=status), tmp_path / "sorted", most=most)
    kept = np.flatnonzero(status == transcripts.KEPT)
    expected = kept[Strips.of(xy[kept]).order]
    np.testing.assert_array_equal(np.load(tmp_path / "sorted" / "rows.npy"), expected)
    np.testing.assert_array_equal(np.load(tmp_path / "sorted" / "xy.npy"), xy[expected])
    np.testing.assert_array_equal(np.load(tmp_path / "sorted" / "gene.npy"), expected)
    again = Chunks.of_sorted(xy[expected], most=most)
    assert again.left_um == chunks.left_um
    np.testing.assert_array_equal(again.starts, chunks.starts)
    np.testing.assert_array_equal(again.borders, chunks.borders)
    assert np.diff(chunks.starts[chunks.borders]).min() > 0


def test_far_apart_each_transcript_can_be_a_chunk_of_its_own() -> None:
    xy = np.stack([np.arange(9) * 10 * WIDTH_UM, np.zeros(9)], axis=1).astype(np.float32)
    sizes = np.bincount(strip_of(xy, left_um=0.0))
    chunks = Chunks.of(sizes, left_um=0.0, most=1)
    assert [chunks.rows(chunk) for chunk in range(len(chunks))] == [slice(i, i + 1) for i in range(9)]


# ---------------------------------------------------------------- profiles and predictions


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that bounds memory by a constant, so small that the tiny sample has many pieces of each."""
    for module in (stray, expression):
        monkeypatch.setattr(module, "AT_ONCE", 7)
    monkeypatch.setattr(pooling, "AT_ONCE", 500)
    for module in (assign, results):
        monkeypatch.setattr(module, "CELLS_AT_ONCE", 5)


def test_profiles_made_in_pieces_are_those_made_at_once(
    tiny: Tiny, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole = tiny.profiles(tiny.graph, FULL)
    request.getfixturevalue("small_pieces")
    made = {"neighbours": 10, "prior": 10.0, "components": 5, "stray_share": 0.25, "stray_um": 30.0}
    pieces = pooling.profiles_of(tiny.graph, view=FULL, **made, directory=tmp_path)
    assert isinstance(pieces.sums, np.memmap)
    for name in ("members", "own", "sums", "background", "totals", "ratio", "best_ratio"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name), err_msg=name)


def test_of_very_many_nuclei_some_stand_for_all(tiny: Tiny) -> None:
    made = {"neighbours": 10, "prior": 10.0, "components": 5, "stray_share": 0.25, "stray_um": 30.0}
    few = pooling.profiles_of(tiny.graph, view=FULL, **made, most=20)
    allowed = np.linspace(0, len(few.members) - 1, 20).astype(int)
    assert set(few.members[:, 1:].ravel().tolist()) <= set(allowed.tolist())
    assert few.members[:, 0].tolist() == list(range(len(few.members)))
    assert few.few.tolist() == allowed.tolist()
    np.testing.assert_array_equal(
        few.best_ratio, np.quantile(few.ratio[allowed], expression.FITS_BEST, axis=0).astype(np.float32)
    )


@pytest.mark.parametrize("at_once", [1000, 37])
def test_predictions_in_pieces_are_those_made_at_once(
    finished: dict[str, Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    at_once: int,
) -> None:
    """The same files, byte for byte, but for the row groups of the segmentation, which are those of the input."""
    every = {"polygons": "geojson", "xeniumranger": True}
    whole = run_predictions(finished, tmp_path / "whole", **every)
    table = pq.read_table(finished["transcripts"].path("transcripts.parquet"))
    inputs = dict(finished)
    inputs["transcripts"] = Artifact(tmp_path / "transcripts")
    shutil.copytree(finished["transcripts"].directory, tmp_path / "transcripts")
    pq.write_table(table, tmp_path / "transcripts" / "transcripts.parquet", row_group_size=1001, compression="zstd")
    request.getfixturevalue("small_pieces")
    pieces = run_predictions(inputs, tmp_path / "pieces", **every, chunk_transcripts=at_once)
    assert pq.read_metadata(pieces.path("segmentation.parquet")).num_row_groups == -(-len(table) // 1001)
    assert segmentation(pieces).equals(segmentation(whole))
    names = ("segmentation.parquet", "summary.json", "manifest.json")
    one, other = (
        {name: digest for name, digest in file_digests(artifact.directory).items() if name not in names}
        for artifact in (whole, pieces)
    )
    assert one == other
    assert pieces.summary.numbers == whole.summary.numbers


def test_predictions_leave_nothing_behind_but_their_files(finished: dict[str, Artifact]) -> None:
    there = {path.name for path in finished["predictions"].directory.iterdir()}
    assert not [name for name in there if name.startswith(("profiles-", "results-"))]


# ---------------------------------------------------------------- a slide


def test_a_slide_of_several_fields_is_one_sample(stages: Stages) -> None:
    fields = RawSettings(preset="hard", cells=30, genes=20, fields=3)
    stages.run("raw", raw.build, fields)
    summary = stages.run("transcripts", transcripts.build, TranscriptsSettings(), "raw")
    assert summary.numbers["transcripts.nuclei"] == 90
    table = pq.read_table(stages.folder / "transcripts" / "transcripts.parquet").to_pandas()
    assert table.transcript_id.is_unique
    centres = pq.read_table(stages.folder / "transcripts" / "nuclei.parquet").to_pandas()
    field = np.arange(90) // 30
    for other in (1, 2):
        apart = np.abs(centres[["x_um", "y_um"]][field == 0].mean() - centres[["x_um", "y_um"]][field == other].mean())
        assert apart.max() > 40, "each field has a place of its own"
    assert (table.true_cell.max(), table.true_cell.min()) == (89, -1)
    assert table.x_um.max() - table.x_um.min() < 250, "the fields adjoin"
