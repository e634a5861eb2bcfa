"""The stage computes the matrix of the rarefied table, or imports one and says whether it is of these reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence import distances as stage
from ml_core.families.sequence.data import SampleTable, load_distances, save_table
from ml_core.families.sequence.distances import imported
from ml_core.families.sequence.distances_figure import principal_coordinates
from ml_core.families.sequence.settings import UnifracSettings
from ml_core.families.sequence.unifrac import faith_pd, within
from ml_core.running import StageRun
from ml_core.summary import Summary
from tests.unit.families.sequence.planted import METADATA, table_of, write_files


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Three of four samples are kept."""
    counts = np.random.default_rng(0).integers(0, 60, (4, 5)) * np.random.default_rng(1).integers(0, 2, (4, 5)) + 12
    counts[0, :2] = counts[2, 1:3] = 0
    return write_files(tmp_path / "files", counts=counts, metadata=METADATA.replace("s2\t", "elsewhere\t"))


def run_on(files: dict[str, Path], folder: Path, **settings: object) -> tuple[Summary, SampleTable]:
    table, _ = table_of(files)
    save_table(folder / "table", table)
    raw = folder / "raw"
    raw.mkdir()
    for path in files.values():
        shutil.copyfile(path, raw / path.name)
    named = {name: path.name for name, path in files.items()}
    (raw / "source.json").write_text(json.dumps({"source": "path", "files": named}))
    (folder / "unifrac").mkdir()
    inputs = {"raw": Artifact(raw), "table": Artifact(folder / "table")}
    return stage.build(StageRun(UnifracSettings(**settings), inputs, folder / "unifrac", folder, folder)), table


@pytest.mark.parametrize("metric", ["unweighted", "weighted_normalized"])
def test_it_computes_the_rarefied_tables_distances(metric: str, files: dict[str, Path], tmp_path: Path) -> None:
    summary, table = run_on(files, tmp_path, metric=metric, block_samples=2)
    found = load_distances(tmp_path / "unifrac")
    np.testing.assert_array_equal(found.matrix, within(table.counts, tree=table.tree, metric=metric, block_samples=2))
    np.testing.assert_array_equal(found.faith, faith_pd(table.counts, tree=table.tree, block_samples=2))
    assert found.metric == metric
    pairs = found.matrix[np.triu_indices(3, 1)]
    figures = [pairs.mean(), pairs.std(), pairs.min(), pairs.max()]
    names = ["mean", "standard_deviation", "smallest", "largest"]
    assert [summary.numbers[f"unifrac.{name}"] for name in names] == pytest.approx(figures, abs=1e-6)
    assert isinstance(found.matrix, np.memmap)
    assert {check.name: check.passed for check in summary.checks} == {
        "distances_finite": True,
        "distances_spread": True,
        "same_reads": True,
    }
    assert (tmp_path / "unifrac" / "figures" / "distances.png").is_file()


def test_imported_distances_come_in_the_tables_order_and_are_compared(files: dict[str, Path], tmp_path: Path) -> None:
    table, _ = table_of(files)
    ours = within(table.counts, tree=table.tree, metric="unweighted", block_samples=4).astype(float)
    names = ["s4", "s9", "s1", "s3"]
    values = np.full((4, 4), 0.5)
    np.fill_diagonal(values, 0)
    values[np.ix_([2, 3, 0], [2, 3, 0])] = ours
    lines = ["\t".join(["", *names])]
    lines += ["\t".join([name, *map(str, row)]) for name, row in zip(names, values.tolist(), strict=True)]
    files["distances"] = tmp_path / "distances.tsv"
    files["distances"].write_text("\n".join(lines))
    summary, _ = run_on(files, tmp_path)
    np.testing.assert_allclose(load_distances(tmp_path / "unifrac").matrix, ours, atol=1e-6)
    assert summary.numbers["unifrac.imported_r2"] == pytest.approx(1)
    assert "imported" in summary.headline


def test_distances_of_other_reads_are_told_by_a_check(files: dict[str, Path], tmp_path: Path) -> None:
    files["distances"] = tmp_path / "distances.npy"
    values = np.random.default_rng(0).random((4, 4))
    np.save(files["distances"], np.triu(values, 1) + np.triu(values, 1).T)
    summary, _ = run_on(files, tmp_path)
    check = next(check for check in summary.checks if check.name == "same_reads")
    assert not check.passed
    assert "asked for 0.98" in check.message


def test_a_bare_array_is_in_the_order_of_the_table_file(files: dict[str, Path], tmp_path: Path) -> None:
    table, _ = table_of(files)
    values = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]) / 10
    np.save(tmp_path / "d.npy", values)
    found = imported(tmp_path / "d.npy", table=table, main_table=files["table"])
    np.testing.assert_allclose(found, np.array([[0, 2, 3], [2, 0, 6], [3, 6, 0]]) / 10)
    np.save(tmp_path / "d.npy", values[:3, :3])
    with pytest.raises(UserError, match=r"d.npy: is for 3 samples, expected the 4 of the main table in its order"):
        imported(tmp_path / "d.npy", table=table, main_table=files["table"])


def test_a_sample_without_distances_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    table, _ = table_of(files)
    (tmp_path / "d.tsv").write_text("\ts1\ts3\ns1\t0\t1\ns3\t1\t0\n")
    with pytest.raises(UserError, match=r"d.tsv: lacks 1 of the table's 3 samples \('s4' for one\)"):
        imported(tmp_path / "d.tsv", table=table, main_table=files["table"])


def test_equal_samples_fail_the_check_of_spread(tmp_path: Path) -> None:
    summary, _ = run_on(write_files(tmp_path / "files", counts=np.full((4, 5), 1000)), tmp_path)
    assert {check.name: check.passed for check in summary.checks}["distances_spread"] is False


def test_principal_coordinates_show_points_of_a_plane_as_they_lie() -> None:
    points = np.random.default_rng(0).normal(size=(9, 2))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    found, shares = principal_coordinates(apart)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), apart, atol=1e-9)
    assert shares.sum() == pytest.approx(1)
