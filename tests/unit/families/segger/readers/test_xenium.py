"""Xenium in both id styles, as text or bytes, in Parquet or CSV; and one clear sentence for every broken file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_core.errors import UserError
from ml_core.families.segger.readers import platform_of, xenium
from ml_core.families.segger.readers.boundaries import read_vertices

NAMES = ["aaaabpkj-1", "aaaacmhi-1"]
TABLE = pd.DataFrame({
    "transcript_id": np.array([281474976710656, 281474976710657, 281474976710658], np.uint64),
    "cell_id": [NAMES[1], "UNASSIGNED", NAMES[0]],
    "overlaps_nucleus": np.array([1, 0, 0], np.uint8),
    "feature_name": ["EPCAM", "CD3E", "EPCAM"],
    "x_location": np.array([1.5, 2.5, 3.5], np.float32),
    "y_location": np.array([10, 20, 30], np.float32),
    "z_location": np.array([7, 8, 9], np.float32),
    "qv": np.array([40, 12.5, 20], np.float32),
})  # fmt: skip
RING = pd.DataFrame({
    "cell_id": [NAMES[0]] * 5 + [NAMES[1]] * 4,
    "vertex_x": [0, 4, 4, 0, 0, 10, 14, 12, 10],
    "vertex_y": [0, 0, 4, 4, 0, 0, 0, 6, 0],
})  # fmt: skip


def as_newer_strings(path: Path) -> Path:
    TABLE.to_parquet(path, index=False)
    return path


def as_bytes(path: Path) -> Path:
    table = pa.Table.from_pandas(TABLE, preserve_index=False)
    for name in ("cell_id", "feature_name"):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, name, table[name].cast(pa.binary()))
    pq.write_table(table, path)
    return path


def as_dictionaries(path: Path) -> Path:
    TABLE.astype({"cell_id": "category", "feature_name": "category"}).to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("write", [as_newer_strings, as_bytes, as_dictionaries])
def test_newer_bundles_have_string_ids_as_text_bytes_or_dictionaries(tmp_path: Path, write) -> None:
    sample = xenium.read(write(tmp_path / "transcripts.parquet"))
    assert sample.cells == NAMES
    assert sample.cell.tolist() == [1, -1, 0]
    assert sample.features == ["CD3E", "EPCAM"]
    assert sample.feature.tolist() == [1, 0, 1]
    assert sample.in_nucleus.tolist() == [True, False, False]
    assert sample.transcript_id.tolist() == TABLE.transcript_id.tolist()
    np.testing.assert_array_equal(sample.xy, TABLE[["x_location", "y_location"]])


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_older_bundles_have_integer_ids_and_minus_one(tmp_path: Path, suffix: str) -> None:
    table = TABLE.assign(cell_id=np.array([12, -1, 7], np.int32))
    path = tmp_path / ("transcripts" + suffix)
    table.to_parquet(path, index=False) if suffix == ".parquet" else table.to_csv(path)
    sample = xenium.read(path)
    assert [sample.cells[code] if code >= 0 else None for code in sample.cell] == ["12", None, "7"]
    np.testing.assert_allclose(sample.qv, [40, 12.5, 20])


def test_optional_columns_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.parquet"
    TABLE[["feature_name", "x_location", "y_location"]].to_parquet(path, index=False)
    sample = xenium.read(path)
    assert sample.cell is None
    assert sample.in_nucleus is None
    assert sample.qv is None
    assert sample.transcript_id.tolist() == [0, 1, 2]
    assert sample.z.tolist() == [0, 0, 0]
    assert sample.schema == {"feature_name": "string", "x_location": "float", "y_location": "float"}


def test_gene_names_that_look_like_numbers_or_missing_values_stay_names(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    TABLE.assign(feature_name=["1", "NA", "nan"]).to_csv(path, index=False)
    assert xenium.read(path).features == ["1", "NA", "nan"]


def test_polygons_lose_their_closing_vertex(tmp_path: Path) -> None:
    RING.to_parquet(tmp_path / "b.parquet", index=False)
    as_newer_strings(tmp_path / "t.parquet")
    boundaries = xenium.read(tmp_path / "t.parquet", nucleus_boundaries=tmp_path / "b.parquet").boundaries
    assert boundaries.ids == NAMES
    assert np.diff(boundaries.polygons.offsets).tolist() == [4, 3]
    np.testing.assert_allclose(boundaries.polygons.areas, [16, 12])


def test_of_several_nuclei_of_a_cell_the_largest_is_kept(tmp_path: Path) -> None:
    RING.assign(cell_id=NAMES[0], label_id=[1] * 5 + [2] * 4).to_parquet(tmp_path / "b.parquet", index=False)
    boundaries = read_vertices(
        tmp_path / "b.parquet", cell="cell_id", x="vertex_x", y="vertex_y", part="label_id", kind="nucleus"
    )
    assert (boundaries.ids, boundaries.dropped) == ([NAMES[0]], 1)
    np.testing.assert_allclose(boundaries.polygons.areas, [16])


def test_the_platform_is_told_by_the_columns(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    assert platform_of(tmp_path / "t.csv") == "xenium"
    TABLE[["qv"]].to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError, match=r"other.csv: has the columns qv, which are those of no known platform"):
        platform_of(tmp_path / "other.csv")


def broken(**columns: object) -> pd.DataFrame:
    return TABLE.assign(**columns)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            TABLE.drop(columns="y_location"),
            r"has no column 'y_location'; expected feature_name, x_location, y_location, found",
        ),
        (TABLE[:0], r"has a header but no rows"),
        (broken(x_location=[1.0, np.nan, 3.0]), r"'x_location' has no number in data row 2 \(and 0 more rows\)"),
        (broken(y_location=[1.0, 2.0, np.inf]), r"'y_location' has no number in data row 3"),
        (broken(x_location=["a", "b", "c"]), r"'x_location' has type string \(first value 'a'\), expected numbers"),
        (broken(transcript_id=[5, 7, 5]), r"'transcript_id' has 1 ids more than once \(first 5 in data rows 1 and 3\)"),
    ],
)
def test_a_broken_table_is_named_with_its_row_and_column(
    tmp_path: Path, table: pd.DataFrame, suffix: str, sentence: str
) -> None:
    path = tmp_path / ("transcripts" + suffix)
    table.to_parquet(path, index=False) if suffix == ".parquet" else table.to_csv(path, index=False)
    with pytest.raises(UserError, match=r"transcripts\." + ".*" + sentence):
        xenium.read(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv.gz"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_not_read_in_part(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / ("transcripts" + suffix)
    table = pd.concat([TABLE] * 500, ignore_index=True).assign(transcript_id=np.arange(1500))
    table.to_parquet(path, index=False) if suffix == ".parquet" else table.to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"is not a whole .* file .* copy it again"):
        xenium.read(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=r"is empty \(0 bytes\)"):
            xenium.read(tmp_path / name)


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match=r"is not a whole Parquet file"):
        xenium.read(tmp_path / "t.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("t" + suffix)
    content = broken(feature_name=["H\xe9", "b", "c"]).to_csv(index=False).encode("latin-1")
    path.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
    with pytest.raises(UserError, match=r"is not UTF-8 text .* write the file anew as UTF-8"):
        xenium.read(path)


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    table = pa.table({"feature_name": [b"H\xe9"], "x_location": [1.0], "y_location": [1.0]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"column 'feature_name' is not UTF-8 text"):
        xenium.read(tmp_path / "t.parquet")


def test_a_ragged_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("feature_name,x_location,y_location\nA,1,2\nB,3\n")
    with pytest.raises(UserError, match=r"t.csv: is not a whole CSV file .*Expected 3 columns, got 2"):
        xenium.read(tmp_path / "t.csv")


def test_a_boundary_of_two_points_is_named(tmp_path: Path) -> None:
    RING.drop(index=[6, 7]).to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(UserError, match=r"b.parquet: the polygon of cell 'aaaacmhi-1' \(data row 6\) has fewer than 3"):
        read_vertices(tmp_path / "b.parquet", cell="cell_id", x="vertex_x", y="vertex_y", kind="nucleus")


def test_empty_transcript_ids_are_refused(tmp_path: Path) -> None:
    broken(transcript_id=pd.array([1, None, 3], dtype="Int64")).to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises(UserError, match=r"column 'transcript_id' has 1 empty values"):
        xenium.read(tmp_path / "t.parquet")
