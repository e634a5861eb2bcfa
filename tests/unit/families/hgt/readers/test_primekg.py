"""A file in PrimeKG's columns, in each format, and what may be wrong with one."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pandas as pd
import pytest

from ml_core.errors import UserError
from ml_core.families.hgt.readers.primekg import read_primekg, suffix_of
from ml_core.families.hgt.readers.rows import Rows
from tests.unit.families.hgt.kg_file import small_table, table


def read(path: Path, *, key: str = "type_id", check_index: bool = True, relation_column: str = "relation") -> Rows:
    return read_primekg(path, key=key, check_index=check_index, relation_column=relation_column)


def written(kg: pd.DataFrame, path: Path) -> Path:
    suffix = suffix_of(path)
    if suffix == ".parquet":
        kg.to_parquet(path, index=False)
    else:
        text = kg.to_csv(index=False).encode()
        packed = {".csv": lambda data: data, ".csv.gz": gzip.compress, ".csv.xz": lzma.compress}[suffix](text)
        path.write_bytes(packed)
    return path


def as_text(rows: Rows) -> list[tuple[str, ...]]:
    nodes = rows.nodes[["node_type", "node_id"]].itertuples(index=False)
    named = [tuple(node) for node in nodes]
    ends = zip(rows.relation, rows.head, rows.tail, strict=True)
    return [(rows.relations[r], *named[h], *named[t]) for r, h, t in ends]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.xz", ".parquet"])
def test_each_format_gives_the_rows_of_the_file_in_its_order(tmp_path: Path, suffix: str) -> None:
    kg = small_table()
    rows = read(written(kg, tmp_path / f"kg{suffix}"))
    columns = ["relation", "x_type", "x_id", "y_type", "y_id"]
    assert as_text(rows) == list(kg[columns].itertuples(index=False, name=None))
    assert set(rows.nodes["node_name"]) == set(kg["x_name"])


def test_numbers_as_ids_and_indices_in_parquet_are_taken_as_text(tmp_path: Path) -> None:
    kg = small_table().astype({"x_id": int, "y_id": int, "x_index": int, "y_index": int})
    assert as_text(read(written(kg, tmp_path / "kg.parquet"))) == as_text(read(written(kg, tmp_path / "kg.csv")))


def test_texts_that_look_like_missing_values_stay_texts(tmp_path: Path) -> None:
    kg = table(
        [("r", ("gene/protein", "NA"), ("gene/protein", "nan")), ("r", ("gene/protein", "007"), ("drug", "NULL"))]
    )
    assert set(read(written(kg, tmp_path / "kg.csv")).nodes["node_id"]) == {"NA", "nan", "007", "NULL"}


def test_names_and_sources_may_be_missing(tmp_path: Path) -> None:
    kg = small_table()[["relation", "x_type", "x_id", "y_type", "y_id"]]
    nodes = read(written(kg, tmp_path / "kg.csv")).nodes
    assert (nodes["node_name"] == nodes["node_id"]).all()
    assert (nodes["node_source"] == "").all()


def test_the_index_as_key_tells_nodes_apart_without_their_ids(tmp_path: Path) -> None:
    kg = small_table()
    by_index = read(written(kg.drop(columns=["x_id", "y_id"]), tmp_path / "kg.csv"), key="index")
    assert len(by_index.nodes) == len(read(written(kg, tmp_path / "ids.csv")).nodes)
    assert set(by_index.nodes["node_id"]) == set(kg["x_index"])


def test_the_display_relation_can_name_the_relation(tmp_path: Path) -> None:
    kg = small_table().assign(display_relation=lambda t: t["relation"].str.upper())
    assert "INDICATION" in read(written(kg, tmp_path / "kg.csv"), relation_column="display_relation").relations


def test_an_index_that_stands_for_two_nodes_is_named_with_its_rows(tmp_path: Path) -> None:
    kg = small_table()
    kg.loc[3, "y_index"] = kg.loc[0, "y_index"]
    path = written(kg, tmp_path / "kg.csv")
    said = rf"x_index {kg.loc[0, 'y_index']} stands for two nodes \(rows 5 and 4 differ in type or id\)"
    with pytest.raises(UserError, match=said):
        read(path)
    assert len(read(path, check_index=False)) == len(kg)
    other_type = small_table()
    other_type.loc[0, "y_type"] = "drug"
    with pytest.raises(UserError, match="stands for two nodes"):
        read(written(other_type, path), key="index")


@pytest.mark.parametrize("column", ["relation", "x_type", "y_id"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_empty_place_is_named_with_its_row(tmp_path: Path, column: str, suffix: str) -> None:
    kg = small_table()
    kg.loc[[4, 7], column] = None
    with pytest.raises(UserError, match=rf"{column} is empty in row 5 \(and 1 more\)"):
        read(written(kg, tmp_path / f"kg{suffix}"))


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.xz", ".parquet", ".csv"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    kg = pd.concat([small_table()] * 50, ignore_index=True)
    path = written(kg, tmp_path / f"kg{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match=rf"kg{suffix}: cannot be read to its end .* cut or damaged; fetch"):
        read(path)


def test_an_archive_that_is_none_is_named(tmp_path: Path) -> None:
    for suffix in (".csv.gz", ".csv.xz", ".parquet"):
        (tmp_path / f"kg{suffix}").write_bytes(b"relation,x_id\n" * 9)
        with pytest.raises(UserError, match="cannot be read to its end"):
            read(tmp_path / f"kg{suffix}")
