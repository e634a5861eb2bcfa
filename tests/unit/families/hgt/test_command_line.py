"""What a user can get wrong, from end to end: one sentence, exit code 2, nothing half done, the file as it was."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ml_core import __main__ as shell
from ml_core.artifacts import Artifact, Store
from tests.unit.families.hgt.kg_file import small_table, table


def changed(how: Callable[[pd.DataFrame], pd.DataFrame], suffix: str = "csv") -> Callable[[Path], Path]:
    def apply(folder: Path) -> Path:
        path = folder / f"kg.{suffix}"
        kg = how(small_table())
        kg.to_parquet(path, index=False) if suffix == "parquet" else kg.to_csv(path, index=False)
        return path

    return apply


def of_bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def apply(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return apply


def put(row: int, **values: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(kg: pd.DataFrame) -> pd.DataFrame:
        for column, value in values.items():
            kg.loc[row, column] = value
        return kg

    return apply


CSV = pd.concat([small_table()] * 20).to_csv(index=False).encode()
BROKEN: dict[str, tuple[Callable[[Path], Path], list[str], str]] = {
    "missing column": (changed(lambda kg: kg.drop(columns="x_type")), [], "kg.csv: has no column x_type"),
    "missing columns of a parquet file": (
        changed(lambda kg: kg.drop(columns=["relation", "y_id"]), "parquet"),
        [],
        "has no column relation and no column y_id",
    ),
    "other separator": (of_bytes("kg.csv", CSV.replace(b",", b";")), [], "has no column relation"),
    "endpoint without an id": (changed(put(4, y_id=None)), [], "y_id is empty in row 5"),
    "endpoint without a type": (changed(put(4, x_type="")), [], "x_type is empty in row 5"),
    "no type of that name": (
        changed(lambda kg: kg),
        ["graph.include_node_types=[drug, gene]"],
        "has no node type 'gene'",
    ),
    "an empty type": (
        changed(lambda kg: kg),
        ["graph.include_node_types=[drug, disease, pathway]"],
        "no edge joins a node of type 'pathway'",
    ),
    "no relation of that name": (
        changed(lambda kg: kg),
        ["graph.include_relations=[treats]"],
        "has no relation 'treats'",
    ),
    "a relation filtered to nothing": (
        changed(lambda kg: kg),
        ["graph.include_node_types=[disease, gene/protein]", "graph.include_relations=[disease_protein, indication]"],
        "nothing is left of 'indication'",
    ),
    "self loops only": (
        changed(lambda kg: kg.assign(**{f"y_{w}": kg[f"x_{w}"] for w in ("id", "type", "index")})),
        ["graph.include_node_types=[]"],
        "no edge is left (20 rows in",
    ),
    "x_index that is not unique": (changed(put(3, y_index="0")), [], "x_index 0 stands for two nodes"),
    "truncated gzip": (of_bytes("kg.csv.gz", gzip.compress(CSV)[:-90]), [], "cannot be read to its end"),
    "truncated xz": (of_bytes("kg.csv.xz", lzma.compress(CSV)[:-90]), [], "cannot be read to its end"),
    "truncated csv": (of_bytes("kg.csv", CSV[: len(CSV) // 2 - 30]), [], "cannot be read to its end"),
    "truncated parquet": (of_bytes("kg.parquet", b"PAR1" + b"\0" * 90), [], "cannot be read to its end"),
    "not what its suffix says": (of_bytes("kg.csv.gz", CSV), [], "cannot be read to its end"),
    "binary": (of_bytes("kg.csv", bytes(range(256)) * 9), [], "kg.csv: "),
    "empty file": (of_bytes("kg.csv", b""), [], "kg.csv: is empty, expected PrimeKG's columns"),
    "header without rows": (changed(lambda kg: kg[:0]), [], "has a header and no rows"),
    "unknown suffix": (of_bytes("kg.tsv", CSV), [], "kg.tsv: has an unknown suffix, expected .parquet, .csv.gz"),
    "too small a sample": (
        changed(lambda _: table([(f"r{n}", ("drug", f"{n}"), ("disease", f"{n}")) for n in range(8)])),
        ["graph.include_node_types=[]", "graph.limit_nodes=10"],
        "graph.limit_nodes: 10 nodes cannot hold an edge of each of",
    ),
    "too few edges to split": (
        changed(lambda kg: kg),
        ["splits.kind=disease_holdout"],
        "splits: 2 nodes of type 'disease'",
    ),
}


def assert_nothing_half_done(data: Path) -> None:
    for folder in (data / "artifacts").glob("*/*"):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                assert not path.name.startswith("."), path
                assert Artifact(path).verify() == []


@pytest.mark.parametrize(("make", "chosen", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_input_is_one_sentence_and_leaves_everything_as_it_was(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    chosen: list[str],
    said: str,
) -> None:
    path = make(tmp_path)
    before, data = path.read_bytes(), tmp_path / "data"
    arguments = [part for each in ["raw.source=path", f"raw.kg={path}", *chosen] for part in ("--set", each)]
    code = shell.main(["run", "hgt", "--until", "splits", "--data", str(data), *arguments])
    error = capsys.readouterr().err
    assert (code, "Traceback" in error) == (2, False), error
    lines = error.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert said in lines[-1]
    assert sum(line.startswith("error") for line in lines) == 1
    assert path.read_bytes() == before
    assert_nothing_half_done(data)
    assert Store(data).current("hgt", "splits") is None


MISTAKES = [
    (["raw.source=path"], "raw: source is 'path', but raw.kg is not set"),
    (["raw.source=path", "raw.kg=/nowhere/kg.csv"], "/nowhere/kg.csv: does not exist"),
    (["raw.source=path", "raw.kg=${NO_SUCH_FOLDER}/kg.csv"], "the environment variable NO_SUCH_FOLDER is not set"),
    (["raw.source=url"], "raw.url_sha256 is not set"),
    (["splits.train=0.9"], "train + validation + test is 1.1, expected 1"),
    (["graph.include_node_types=[drug, drug]"], "each name must stand there once"),
    (["graph.limit_nodes=3"], "field 'limit_nodes' is 3"),
]


@pytest.mark.parametrize(("chosen", "said"), MISTAKES, ids=[" ".join(chosen) for chosen, _ in MISTAKES])
def test_a_mistake_in_the_command_is_one_sentence_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], chosen: list[str], said: str
) -> None:
    arguments = [part for each in chosen for part in ("--set", each)]
    assert shell.main(["run", "hgt", "--until", "splits", "--data", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert said in error
    assert not list(tmp_path.glob("artifacts/*/*/*/manifest.json"))


def test_a_good_file_goes_through_and_a_path_may_begin_with_an_environment_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_table().to_csv(tmp_path / "kg.csv", index=False)
    monkeypatch.setenv("MY_GRAPHS", str(tmp_path))
    chosen = ["--set", "raw.source=path", "--set", "raw.kg=${MY_GRAPHS}/kg.csv", "--until", "graph"]
    assert shell.main(["run", "hgt", "--data", str(tmp_path / "data"), *chosen]) == 0
    numbers = Store(tmp_path / "data").current("hgt", "graph").summary.numbers
    assert (numbers["graph.nodes"], numbers["graph.edges"], numbers["graph.rows_in"]) == (9, 10, 20)
