"""Exports hold every transcript or every cell, in the form that other programs expect."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely

from ml_core.errors import UserError
from ml_core.families.segger import export
from ml_core.families.segger.outlines import cell_outlines

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 2]], float)


@dataclass(frozen=True)
class InPieces:
    """Predictions in memory, read `size` rows and one cell at a time."""

    everything: export.Rows
    cell_ids: list[str]
    genes: list[str]
    size: int

    def rows(self) -> Iterator[export.Rows]:
        arrays = {name: values for name, values in vars(self.everything).items() if name != "start"}
        for start in range(0, len(self.everything.cell), self.size):
            yield export.Rows(start, **{name: values[start : start + self.size] for name, values in arrays.items()})

    def blocks(self) -> Iterator[export.Block]:
        for number in range(len(self.cell_ids)):
            mine = self.everything.cell == number
            xy, gene = self.everything.xy[mine], self.everything.gene[mine]
            yield export.Block(number, 1, xy=xy, gene=gene, cell=np.zeros(mine.sum(), int))


@pytest.fixture(params=[100, 3])
def predictions(request: pytest.FixtureRequest) -> InPieces:
    """Two cells with an outline, one of two transcripts, and a transcript of nobody."""
    rows = export.Rows(
        start=0,
        transcript_id=np.arange(13) + 281_474_976_710_656,
        xy=np.concatenate([SQUARE, SQUARE + 10, [[30, 30], [31, 31]], [[50, 50]]]),
        gene=np.array([0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0, -1]),
        cell=np.array([0] * 5 + [1] * 5 + [2] * 2 + [-1]),
        score=np.linspace(0, 1, 13),
        evidence=np.linspace(-3, 0, 13),
        status=np.array(["assigned"] * 12 + ["below_cut"]),
    )
    return InPieces(rows, ["first", "second", "small"], ["A", "B", "C"], request.param)


def test_the_segmentation_has_a_row_for_every_transcript(tmp_path: Path, predictions: InPieces) -> None:
    export.write_segmentation(tmp_path / "s.parquet", predictions=predictions)
    table = pd.read_parquet(tmp_path / "s.parquet")
    assert table.transcript_id.tolist() == predictions.everything.transcript_id.tolist()
    assert table.cell_id.isna().tolist() == [False] * 12 + [True]
    assert table.cell_id[5] == "second"
    assert table.status.iloc[-1] == "below_cut"


@pytest.mark.parametrize("concave", [True, False])
def test_polygons_are_written_for_cells_that_span_an_area(tmp_path: Path, predictions: InPieces, concave: bool) -> None:
    assert export.write_geojson(tmp_path / "c.geojson", predictions=predictions, concave=concave) == 2
    features = json.loads((tmp_path / "c.geojson").read_text())["features"]
    assert [feature["id"] for feature in features] == ["first", "second"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    assert all(shape.is_valid and shape.area > 0 for shape in shapes)
    if not concave:
        assert [shape.area for shape in shapes] == [16, 16]


def test_geoparquet_holds_the_same_polygons(tmp_path: Path, predictions: InPieces) -> None:
    geopandas = pytest.importorskip("geopandas", reason="the extra [export] is not installed")
    assert export.write_geoparquet(tmp_path / "c.parquet", predictions=predictions, concave=False) == 2
    frame = geopandas.read_parquet(tmp_path / "c.parquet")
    assert frame.cell_id.tolist() == ["first", "second"]
    assert frame.geometry.area.tolist() == [16, 16]


def test_anndata_counts_the_genes_of_each_cell(tmp_path: Path, predictions: InPieces) -> None:
    anndata = pytest.importorskip("anndata", reason="the extra [export] is not installed")
    export.write_anndata(tmp_path / "c.h5ad", predictions=predictions)
    table = anndata.read_h5ad(tmp_path / "c.h5ad")
    assert table.obs_names.tolist() == ["first", "second", "small"]
    np.testing.assert_array_equal(table.X.toarray(), [[2, 3, 0], [0, 0, 5], [2, 0, 0]])
    np.testing.assert_allclose(table.obsm["spatial"], [[2, 2], [12, 12], [30.5, 30.5]])


@pytest.mark.parametrize(("name", "write"), [("anndata", export.write_anndata), ("geopandas", export.write_geoparquet)])
def test_a_missing_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, predictions: InPieces, name: str, write
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"needs {name}, which is not installed: pip install bioassets\[export\]"):
        write(tmp_path / "out", predictions=predictions)


def test_xeniumranger_gets_the_same_cells_in_both_files(tmp_path: Path, predictions: InPieces) -> None:
    assignment, polygons = export.write_xeniumranger(tmp_path / "xr", predictions=predictions)
    table = pd.read_csv(assignment, keep_default_na=False)
    ids = {feature["id"] for feature in json.loads(polygons.read_text())["features"]}
    assert list(table.columns) == ["transcript_id", "cell", "is_noise", "x", "y"]
    assert set(table.cell[table.is_noise == 0]) == ids == {"cell-1", "cell-2"}
    assert (table.cell[table.is_noise == 1] == "").all()
    assert len(table) == 13


def test_no_cells_give_no_outlines() -> None:
    assert cell_outlines(SQUARE, cell=np.full(5, -1), cells=2).tolist() == [None, None]
