"""One table in every format is the same table, and what is no table of counts is refused with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import biom
import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.readers.counts import Counts, read_counts
from ml_core.families.sequence.simulated_files import write_biom
from tests.unit.families.sequence.planted import artifact

COUNTS = np.array([[5, 0, 7], [0, 3, 0], [1, 1, 1], [0, 0, 9]])  # [samples, ASVs]
SAMPLES, ASVS = ["s1", "s2", "10", "s4"], ["asv1", "asv2", "007"]
TSV = "# Constructed from biom file\n#OTU ID\ts1\ts2\t10\ts4\nasv1\t5.0\t0.0\t1\t0\nasv2\t0\t3\t1\t0\n007\t7\t0\t1\t9\n"


def written(folder: Path, kind: str) -> Path:
    """COUNTS as a file of this kind."""
    path = folder / f"table.{kind}"
    if kind == "tsv":
        path.write_text(TSV)
    elif kind == "tsv.gz":
        path.write_bytes(gzip.compress(TSV.encode()))
    elif kind in ("json", "dense.json"):
        sparse_data = [[int(a), int(s), int(COUNTS[s, a])] for s, a in zip(*np.nonzero(COUNTS), strict=True)]
        table = {
            "rows": [{"id": name, "metadata": None} for name in ASVS],
            "columns": [{"id": name, "metadata": None} for name in SAMPLES],
            "matrix_type": "sparse" if kind == "json" else "dense",
            "shape": [3, 4],
            "data": sparse_data if kind == "json" else COUNTS.T.tolist(),
        }
        path.write_text(json.dumps(table))
    else:
        write_biom(
            folder / "written.biom", COUNTS, sample_ids=np.array(SAMPLES, object), asv_ids=np.array(ASVS, object)
        )
        data = (folder / "written.biom").read_bytes()
        if kind == "qza":
            return artifact(path, kind="FeatureTable[Frequency]", member="feature-table.biom", data=data)
        path.write_bytes(data)
    return path


def check(found: Counts) -> None:
    assert found.sample_ids.tolist() == SAMPLES
    assert found.asv_ids.tolist() == ASVS
    np.testing.assert_array_equal(found.matrix.toarray(), COUNTS)
    assert found.matrix.dtype == np.int32
    assert found.matrix.nnz == np.count_nonzero(COUNTS)


@pytest.mark.parametrize("kind", ["tsv", "tsv.gz", "json", "dense.json", "biom", "qza"])
def test_every_format_gives_the_same_table(kind: str, tmp_path: Path) -> None:
    check(read_counts(written(tmp_path, kind)))


@pytest.mark.parametrize("kind", ["hdf5", "json"])
def test_what_biom_format_writes_is_read(kind: str, tmp_path: Path) -> None:
    table = biom.Table(COUNTS.T, ASVS, SAMPLES)
    path = tmp_path / "table.biom"
    if kind == "json":
        path.write_text(table.to_json("test"))
    else:
        with biom.util.biom_open(str(path), "w") as file:
            table.to_hdf5(file, "test")
    check(read_counts(path))


def test_what_is_written_here_biom_format_reads(tmp_path: Path) -> None:
    table = biom.load_table(str(written(tmp_path, "biom")))
    np.testing.assert_array_equal(table.matrix_data.toarray(), COUNTS.T)
    assert table.ids().tolist() == SAMPLES


def test_a_last_column_of_taxonomy_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    path.write_text("#OTU ID\ts1\ttaxonomy\nasv1\t4\tk__Bacteria; p__Firmicutes\n")
    found = read_counts(path)
    assert found.sample_ids.tolist() == ["s1"]
    assert found.matrix.toarray().tolist() == [[4]]


WRONG = {
    "relative abundances": ("id\ts1\ts2\na\t1\t0.25\n", "sample 's2' has 0.25 of ASV 'a', expected counts of reads"),
    "a negative count": ("id\ts1\ts2\na\t-3\t1\n", "sample 's1' has -3 of ASV 'a', expected counts of reads"),
    "a word": ("id\ts1\ts2\na\t1\t1\nb\t2\tmany\n", "row 3, column 's2' is 'many', expected a count of reads"),
    "an empty cell": ("id\ts1\ts2\na\t1\t\n", "row 2, column 's2' is ''"),
    "a short row": ("id\ts1\ts2\na\t1\n", "row 2 has 2 cells, expected 3 as in the header"),
    "a sample twice": ("id\ts1\ts1\na\t1\t1\n", "sample 's1' stands there twice"),
    "an ASV twice": ("id\ts1\na\t1\na\t1\n", "ASV 'a' stands there twice"),
    "no ASVs": ("id\ts1\n", "has no ASVs"),
    "no table": ("hello\n", "has no tab, expected a table of counts"),
    "nothing": ("", "is empty, expected a table of counts"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_table_of_counts_is_refused_with_its_place(what: str, tmp_path: Path) -> None:
    text, sentence = WRONG[what]
    path = tmp_path / "table.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"table.tsv: {sentence}"):
        read_counts(path)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = written(tmp_path, "biom").read_bytes()
    cases = {
        "half.biom": (whole[: len(whole) // 2], "is damaged HDF5"),
        "half.qza": (written(tmp_path, "qza").read_bytes()[:80], "is a damaged zip"),
        "half.json": (b'{"rows": [', "is no BIOM 1.0 table"),
        "rows.json": (b'{"rows": []}', "is no BIOM 1.0 table"),
        "image.png": (b"\x89PNG\xff\xfe", "is neither BIOM nor .qza nor text"),
        "half.tsv.gz": (gzip.compress(TSV.encode())[:30], "cannot be unpacked"),
    }
    for name, (data, sentence) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"{name}: {sentence}"):
            read_counts(tmp_path / name)


def test_an_artifact_of_another_type_is_named(tmp_path: Path) -> None:
    path = artifact(tmp_path / "tree.qza", kind="Phylogeny[Rooted]", member="tree.nwk", data=b"(a,b);")
    with pytest.raises(
        UserError, match=r"is a QIIME 2 artifact of type Phylogeny\[Rooted\], expected a table of counts"
    ):
        read_counts(path)


def test_hdf5_without_a_table_is_refused(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "other.biom", "w") as file:
        file["numbers"] = [1, 2]
    with pytest.raises(UserError, match=r"other.biom: is HDF5 but no BIOM 2.1 table"):
        read_counts(tmp_path / "other.biom")
    with h5py.File(tmp_path / "groups.biom", "w") as file:
        file.create_group("sample/ids")
    with pytest.raises(UserError, match=r"groups.biom: is damaged HDF5"):
        read_counts(tmp_path / "groups.biom")
