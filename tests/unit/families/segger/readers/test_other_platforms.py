"""MERSCOPE and CosMx columns become the same sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely

from ml_core.errors import UserError
from ml_core.families.segger.readers import read_sample

MERSCOPE = pd.DataFrame({"gene": ["Gfap", "Mlc1"], "global_x": [1.0, 11.0], "global_y": [1.0, 1.0], "global_z": [0, 3]})
COSMX = pd.DataFrame({
    "fov": [2, 2, 3, 3],
    "cell_ID": [0, 1, 1, 2],
    "x_global_px": [1000.0, 1010, 2000, 2010],
    "y_global_px": [-100.0, -110, -200, -210],
    "target": ["CD3E", "EPCAM", "CD3E", "NegPrb01"],
    "CellComp": ["0", "Nuclear", "Cytoplasm", "Nuclear"],
})  # fmt: skip


def read(folder: Path, *, negate: bool = False, platform: str = "auto", **tables: pd.DataFrame):
    files = {}
    for name, table in tables.items():
        files[name] = folder / f"{name}.{'parquet' if 'Geometry' in table else 'csv'}"
        table.to_parquet(files[name]) if "Geometry" in table else table.to_csv(files[name], index=False)
    return read_sample(files, platform=platform, pixel_size_um=0.12028, negate_boundary_y=negate)


def test_merscope_cells_come_from_vertices_whose_axis_may_be_turned(tmp_path: Path) -> None:
    vertices = pd.DataFrame(
        {"x": [0, 4, 2, 0], "y": [0, 0, -4, 0], "poly_ID": ["40951783403982682273285375368232495429"] * 4}
    )
    sample = read(tmp_path, transcripts=MERSCOPE, cell_boundaries=vertices, negate=True)
    assert sample.platform == "merscope"
    assert sample.boundaries.ids == ["40951783403982682273285375368232495429"]
    assert sample.boundaries.kind == "cell"
    assert sample.boundaries.polygons.xy[:, 1].max() == 4
    assert sample.z.tolist() == [0, 3]


def test_merscope_wkb_keeps_the_largest_plane_of_each_cell(tmp_path: Path) -> None:
    shapes = [shapely.box(0, 0, 2, 2), shapely.MultiPolygon([shapely.box(0, 0, 4, 4)]), shapely.box(10, 0, 12, 2)]
    table = pd.DataFrame({"EntityID": [7, 7, 9], "ZIndex": [0, 1, 0], "Geometry": shapely.to_wkb(shapes)})
    sample = read(tmp_path, transcripts=MERSCOPE, cell_boundaries=table)
    assert sample.boundaries.ids == ["7", "9"]
    np.testing.assert_allclose(sample.boundaries.polygons.areas, [16, 4])
    assert sample.boundaries.dropped == 1


def test_merscope_boundaries_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"has the columns a, expected Geometry and EntityID \(WKB\), or x, y and poly_ID"
    ):
        read(tmp_path, transcripts=MERSCOPE, cell_boundaries=pd.DataFrame({"a": [1]}))
    with pytest.raises(UserError, match=r"column 'Geometry' is not WKB"):
        read(tmp_path, transcripts=MERSCOPE, cell_boundaries=pd.DataFrame({"EntityID": [1], "Geometry": [b"nonsense"]}))


def test_cosmx_pixels_become_micrometres_and_cells_are_told_apart_by_field(tmp_path: Path) -> None:
    sample = read(tmp_path, transcripts=COSMX)
    assert sample.platform == "cosmx"
    np.testing.assert_allclose(sample.xy[0], [120.28, -12.028], rtol=1e-6)
    assert sample.cells == ["2_1", "3_1", "3_2"]
    assert sample.cell.tolist() == [-1, 0, 1, 2]
    assert sample.in_nucleus.tolist() == [False, True, False, True]


def test_a_platform_that_is_set_names_the_column_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no column 'fov'"):
        read(tmp_path, transcripts=MERSCOPE, platform="cosmx")
