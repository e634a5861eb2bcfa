"""A file in PrimeKG's twelve columns: one row an edge, with its two nodes written out in full."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ml_core.errors import UserError
from ml_core.families.hgt.readers.rows import Rows

SUFFIXES = (".parquet", ".csv.gz", ".csv.xz", ".csv")
OPTIONAL = ("name", "source")  # of a node; its id stands in for a name
BLOCK_BYTES = 8 << 20
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException)
OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {".csv.gz": gzip.open, ".csv.xz": lzma.open}  # type: ignore[dict-item]


def suffix_of(path: Path) -> str:
    """The suffix among `SUFFIXES`; UserError for any other."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise UserError(f"{path}: has an unknown suffix, expected {', '.join(SUFFIXES)}; convert the file.")


def read_primekg(
    path: Path,
    *,
    key: Literal["type_id", "index"],
    check_index: bool,
    relation_column: Literal["relation", "display_relation"],
) -> Rows:
    """Read the rows and tell their nodes apart by (type, id) or by x_index.

    The types and ids of both ends and the relation must be there and filled; names and sources may be missing. Raises
    UserError for a missing column, an end without a node, an index that stands for two nodes, and a damaged file.
    """
    there = columns_of(path)
    identity = "index" if key == "index" else "id"
    needed = [relation_column, *(f"{side}_{what}" for side in "xy" for what in ("type", identity))]
    missing = [name for name in needed if name not in there]
    if missing:
        raise UserError(
            f"{path}: has no column {' and no column '.join(missing)}, expected PrimeKG's: {', '.join(needed)}; "
            f"it has {', '.join(there[:14]) or 'none'}; rename its columns or give another file."
        )
    checked = ("index",) if key == "type_id" and check_index else ()
    extra = [what for what in (*OPTIONAL, *checked) if f"x_{what}" in there and f"y_{what}" in there]
    table = _read(path, columns=[*needed, *(f"{side}_{what}" for side in "xy" for what in extra)])
    if not len(table):
        raise UserError(f"{path}: has a header and no rows, expected one row for each edge; give the whole file.")
    return _rows(table, path=path, relation_column=relation_column, identity=identity, extra=extra)


def columns_of(path: Path) -> list[str]:
    """Names of the file's columns."""
    try:
        if suffix_of(path) == ".parquet":
            return list(pa.parquet.read_schema(path).names)
        with _opened(path) as file:
            first = file.readline()
        if not first.strip():
            raise UserError(
                f"{path}: is empty, expected PrimeKG's columns and one row for each edge; give another file."
            )
        return list(pa.csv.read_csv(pa.py_buffer(first)).column_names)
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _opened(path: Path) -> IO[bytes]:
    return OPENERS.get(suffix_of(path), lambda path: path.open("rb"))(path)


def _read(path: Path, *, columns: list[str]) -> pa.Table:
    """The columns, each as one dictionary array."""
    try:
        if suffix_of(path) == ".parquet":
            schema = pa.parquet.read_schema(path)
            texts = [name for name in columns if _is_text(schema.field(name).type)]
            return pa.parquet.read_table(path, columns=columns, read_dictionary=texts)
        kinds = {name: pa.dictionary(pa.int32(), pa.string()) for name in columns}
        with _opened(path) as file:
            reader = pa.csv.open_csv(
                file,
                read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=pa.csv.ParseOptions(newlines_in_values=False),
                convert_options=pa.csv.ConvertOptions(include_columns=columns, column_types=kinds),
            )
            return reader.read_all()
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _damaged(path: Path, error: BaseException) -> UserError:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return UserError(f"{path}: cannot be read to its end ({reason}), so it is cut or damaged; fetch or write it anew.")


def _rows(table: pa.Table, *, path: Path, relation_column: str, identity: str, extra: list[str]) -> Rows:
    relation, relations = _codes([table[relation_column]], path=path, names=[relation_column])
    count = len(table)

    def both(what: str, *, filled: bool = True) -> tuple[np.ndarray, Any]:
        names = [f"x_{what}", f"y_{what}"]
        return _codes([table[name] for name in names], path=path, names=names if filled else [])

    type_code, types = both("type")
    id_code, ids = both(identity)
    code, distinct = pd.factorize(type_code.astype(np.int64) * len(ids) + id_code)
    node = code.astype(np.int32)  # [2 m], heads first
    first = np.empty(len(distinct), np.int64)
    first[node[::-1]] = np.arange(2 * count)[::-1]
    if identity == "index":
        _one_node_each(id_code, node=node, ids=ids, what="x_index", path=path)
    remarks: dict[str, int | str] = {}
    labels = {"node_type": types[type_code[first]], "node_id": ids[id_code[first]].astype(str).astype(object)}
    del type_code, id_code
    for what in extra:
        codes, texts = both(what, filled=what == "index")
        if what == "index":
            _one_node_each(codes, node=node, ids=texts, what="x_index", path=path)
            remarks["nodes_with_several_indices"] = _with_several(codes, node=node, first=first)
            continue
        texts = np.array([*texts.astype(object), ""], object)  # -1: a missing one
        labels[f"node_{what}"] = texts[codes[first]]
        remarks[f"nodes_with_several_{what}s"] = _with_several(codes, node=node, first=first)
    labels.setdefault("node_name", labels["node_id"])
    labels.setdefault("node_source", np.full(len(distinct), "", object))
    nodes = pd.DataFrame({name: labels[name] for name in ("node_type", "node_id", "node_name", "node_source")})
    nodes["node_name"] = nodes["node_name"].where(nodes["node_name"] != "", nodes["node_id"])
    return Rows(
        relations=list(relations),
        relation=relation.astype(np.int16),
        head=node[:count],
        tail=node[count:],
        nodes=nodes,
        remarks=remarks,
    )


def _codes(columns: list[pa.ChunkedArray], *, path: Path, names: list[str]) -> tuple[np.ndarray, Any]:
    """The columns below each other as codes into one array of distinct values; -1 where a value is missing.

    UserError at the first row in which a column of `names` is not filled.
    """
    chunks = [chunk for column in columns for chunk in column.chunks]
    joined = pa.chunked_array(chunks)
    if not pa.types.is_dictionary(joined.type):
        joined = joined.dictionary_encode()
    array = joined.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    values = array.dictionary.to_numpy(zero_copy_only=False)
    if names:
        empty = np.array([value is None or value == "" for value in values.tolist()] + [True])
        if empty[codes].any():
            at = int(np.argmax(empty[codes]))
            side, row = divmod(at, len(columns[0]))
            raise UserError(
                f"{path}: {names[side]} is empty in row {row + 1} (and {int(empty[codes].sum()) - 1:,} more), so "
                "that an edge has no relation or an endpoint no node; mend or remove these rows."
            )
    return codes, values


def _one_node_each(index: np.ndarray, *, node: np.ndarray, ids: Any, what: str, path: Path) -> None:
    """UserError where an index stands for two nodes."""
    owner = np.full(len(ids), -1, np.int32)
    owner[index[::-1]] = node[::-1]
    wrong = owner[index] != node
    if wrong.any():
        at = int(np.argmax(wrong))
        rows = len(index) // 2
        before = int(np.argmax(index == index[at]))
        raise UserError(
            f"{path}: {what} {ids[index[at]]} stands for two nodes (rows {before % rows + 1} and {at % rows + 1} "
            "differ in type or id), expected one; mend the file, or set graph.key=type_id and graph.check_index=false."
        )


def _with_several(codes: np.ndarray, *, node: np.ndarray, first: np.ndarray) -> int:
    """Number of nodes whose rows differ in this column."""
    return len(np.unique(node[codes != codes[first][node]]))
