"""Every input row is in the table, filtered rows with their reason, and nuclei come from polygons or hulls."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.errors import UserError
from ml_core.families.segger import raw, transcripts
from ml_core.families.segger.settings import RawSettings, TranscriptsSettings
from ml_core.summary import Summary


def build(stages, bundle: Path, settings: TranscriptsSettings | None = None, **raw_fields: object) -> Summary:
    stages.run("raw", raw.build, RawSettings(source="path", bundle=str(bundle), **raw_fields))
    return stages.run("transcripts", transcripts.build, settings or TranscriptsSettings(), "raw")


def table(stages) -> pd.DataFrame:
    return pd.read_parquet(stages.folder / "transcripts" / "transcripts.parquet")


def test_all_rows_stand_there_in_input_order_with_status(stages, bundle: Path) -> None:
    summary = build(stages, bundle)
    found, given = table(stages), pd.read_csv(bundle / "transcripts.csv")
    assert found.transcript_id.tolist() == given.transcript_id.tolist()
    assert found.feature.tolist() == given.feature_name.tolist()
    assert (found.status == 2).tolist() == (given.feature_name == "BLANK_0001").tolist()
    assert np.flatnonzero(found.status == 1).tolist() == [4]
    assert summary.numbers["transcripts.control"] == 6
    assert summary.tables["Filtered transcripts"] == [
        {"reason": "low_qv", "transcripts": 1},
        {"reason": "control BLANK_", "transcripts": 6},
    ]
    assert json.loads((stages.folder / "transcripts" / "genes.json").read_text()) == ["CD3E", "EPCAM"]
    assert found.gene[found.status != 2].min() == 0
    assert (found.gene[found.status == 2] == -1).all()


def test_polygons_are_used_where_there_are_some(stages, bundle: Path) -> None:
    build(stages, bundle)
    nuclei = pd.read_parquet(stages.folder / "transcripts" / "nuclei.parquet")
    assert set(nuclei.boundary_source) == {"nucleus_polygons"}
    np.testing.assert_allclose(nuclei.area_um2, 16)
    assert table(stages).nucleus.tolist() == [0, 0, 0, 0, -1, -1, 1, 1, 1, 1, -1, -1, 2, 2, 2, 2, -1, -1]
    assert table(stages).vendor_nucleus.tolist() == [0, 0, 0, 0, 0, -1, 1, 1, 1, 1, 1, -1, 2, 2, 2, 2, 2, -1]


def test_hulls_are_derived_and_flagged_without_polygons(stages, bundle: Path) -> None:
    (bundle / "nucleus_boundaries.csv").unlink()
    build(stages, bundle, TranscriptsSettings(control_prefixes=[]))
    nuclei = pd.read_parquet(stages.folder / "transcripts" / "nuclei.parquet")
    assert set(nuclei.boundary_source) == {"derived_hull"}
    np.testing.assert_allclose(nuclei.area_um2, 2)
    assert nuclei.transcripts.tolist() == [4, 4, 4]


def test_without_the_vendors_columns_nuclear_means_inside_the_polygon(stages, bundle: Path) -> None:
    given = pd.read_csv(bundle / "transcripts.csv").drop(columns=["overlaps_nucleus", "cell_id"])
    given.to_csv(bundle / "transcripts.csv", index=False)
    build(stages, bundle)
    assert table(stages).nucleus.tolist() == [0, 0, 0, 0, -1, -1, 1, 1, 1, 1, -1, -1, 2, 2, 2, 2, -1, -1]
    assert (table(stages).vendor_cell == -1).all()


def test_neither_polygons_nor_nuclear_columns_is_refused(stages, bundle: Path) -> None:
    (bundle / "nucleus_boundaries.csv").unlink()
    given = pd.read_csv(bundle / "transcripts.csv").drop(columns=["overlaps_nucleus"])
    given.to_csv(bundle / "transcripts.csv", index=False)
    with pytest.raises(UserError, match=r"neither boundaries nor the columns .* give a boundaries file in raw"):
        build(stages, bundle)


def test_boundaries_of_another_place_are_refused(stages, bundle: Path) -> None:
    boundaries = pd.read_csv(bundle / "nucleus_boundaries.csv")
    boundaries.assign(vertex_y=boundaries.vertex_y - 500).to_csv(bundle / "nucleus_boundaries.csv", index=False)
    with pytest.raises(UserError, match=r"y -502..-478 um, transcripts at .* they do not overlap"):
        build(stages, bundle)


def test_a_filter_that_leaves_nothing_is_refused(stages, bundle: Path) -> None:
    with pytest.raises(UserError, match=r"all 18 rows are filtered \(12 below min_qv 50, 6 controls\)"):
        build(stages, bundle, TranscriptsSettings(min_qv=50))


def test_no_polygons_where_polygons_are_asked_for_is_refused(stages, bundle: Path) -> None:
    (bundle / "nucleus_boundaries.csv").unlink()
    with pytest.raises(UserError, match=r"polygons are asked for, but the sample has no boundaries file"):
        build(stages, bundle, TranscriptsSettings(nuclei="polygons"))


def test_older_and_newer_ids_give_the_same_nuclei(stages, bundle: Path) -> None:
    build(stages, bundle)
    newer = table(stages)
    number = {"aaaabpkj-1": 1, "aaaacmhi-1": 2, "aaaadnbe-1": 3, "UNASSIGNED": -1}
    for name in ("transcripts", "nucleus_boundaries"):
        given = pd.read_csv(bundle / f"{name}.csv")
        given.assign(cell_id=given.cell_id.map(number)).to_csv(bundle / f"{name}.csv", index=False)
    shutil.rmtree(stages.folder / "raw")
    shutil.rmtree(stages.folder / "transcripts")
    build(stages, bundle)
    pd.testing.assert_frame_equal(table(stages), newer)


def test_the_reference_keeps_the_panels_genes_and_cell_types(stages, bundle: Path, tmp_path: Path) -> None:
    reference = pd.DataFrame({"EPCAM": [1.5, 0], "OTHER": [1, 1], "cell_type": ["tumour", "T cell"]})
    reference.to_csv(tmp_path / "reference.csv", index=False)
    summary = build(stages, bundle, reference=str(tmp_path / "reference.csv"))
    found = pd.read_parquet(stages.folder / "transcripts" / "reference.parquet")
    assert found.to_dict("list") == {"cell_type": ["tumour", "T cell"], "EPCAM": [1.5, 0.0]}
    assert summary.numbers["transcripts.reference_genes"] == 1


def test_a_reference_of_other_genes_is_refused(stages, bundle: Path, tmp_path: Path) -> None:
    pd.DataFrame({"A": [1], "cell_type": ["x"]}).to_csv(tmp_path / "reference.csv", index=False)
    with pytest.raises(UserError, match=r"reference.csv: has none of the panel's 2 genes as a column"):
        build(stages, bundle, reference=str(tmp_path / "reference.csv"))


def test_the_simulated_truth_stands_beside_each_transcript(sample) -> None:
    found = pd.read_parquet(sample.folder / "transcripts" / "transcripts.parquet")
    nuclei = pd.read_parquet(sample.folder / "transcripts" / "nuclei.parquet")
    cells = pd.read_parquet(sample.folder / "raw" / "true_cells.parquet")
    in_a_cell = found[found.true_cell >= 0]
    assert (nuclei.cell_id.to_numpy()[in_a_cell.true_nucleus] == cells.cell_id.to_numpy()[in_a_cell.true_cell]).all()
    assert (found.true_nucleus[found.true_cell < 0] == -1).all()
