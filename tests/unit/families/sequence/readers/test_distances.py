"""A matrix computed elsewhere is read whatever its format, and refused where it is none."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.readers.distances import read_distances
from tests.unit.families.sequence.planted import artifact

IDS = ["s2", "s1", "s3"]
VALUES = np.array([[0, 0.25, 0.5], [0.25, 0, 1], [0.5, 1, 0]])


def tsv(values: np.ndarray = VALUES, rows: list[str] = IDS) -> str:
    lines = ["\t".join([name, *map(str, row)]) for name, row in zip(rows, values.tolist(), strict=True)]
    return "\t".join(["", *IDS]) + "\n" + "\n".join(lines) + "\n"


def written(folder: Path, kind: str) -> Path:
    path = folder / f"d.{kind}"
    if kind == "npy":
        np.save(path, VALUES.astype(np.float32))
    elif kind == "qza":
        artifact(path, kind="DistanceMatrix", member="distance-matrix.tsv", data=tsv().encode())
    elif kind == "tsv":
        path.write_text(tsv())
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("order", data=IDS, dtype=h5py.string_dtype())
            file["matrix" if kind == "h5" else "matrix:0"] = VALUES
    return path


@pytest.mark.parametrize("kind", ["h5", "multi.h5", "tsv", "qza", "npy"])
def test_every_format_gives_the_same_matrix(kind: str, tmp_path: Path) -> None:
    found = read_distances(written(tmp_path, kind))
    assert (None if found.ids is None else found.ids.tolist()) == (None if kind == "npy" else IDS)
    np.testing.assert_array_equal(found.values, VALUES.astype(np.float32))
    assert found.values.dtype == np.float32


WRONG = {
    "too far": (tsv(2 * VALUES), "has values from 0 to 2 or none at all, expected distances from 0 to 1"),
    "not symmetric": (tsv(np.triu(VALUES)), "is not symmetric with a zero diagonal"),
    "far from itself": (tsv(VALUES + np.eye(3) / 2), "is not symmetric with a zero diagonal"),
    "another order": (tsv(rows=["s1", "s2", "s3"]), "its rows and columns have different ids"),
    "a row missing": ("\ts1\ts2\ns1\t0\t1\n", "its rows and columns have different ids"),
    "a word": (tsv().replace("0.25", "far"), "cannot be read as a matrix of distances"),
    "text": ("hello\n", "has shape"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_matrix_of_distances_is_refused(what: str, tmp_path: Path) -> None:
    text, sentence = WRONG[what]
    (tmp_path / "d.tsv").write_text(text)
    with pytest.raises(UserError, match=f"d.tsv: {sentence}"):
        read_distances(tmp_path / "d.tsv")


def test_a_damaged_array_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path, "npy").read_bytes()
    for number, data in enumerate((whole[:-8], whole[:20], whole.replace(b"}", b"("))):
        path = tmp_path / f"{number}.npy"
        path.write_bytes(data)
        with pytest.raises(UserError, match=f"{number}.npy: cannot be read as .npy"):
            read_distances(path)


def test_hdf5_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["numbers"] = [1]
    with pytest.raises(UserError, match=r"d.h5: is HDF5 without 'order' and 'matrix'"):
        read_distances(tmp_path / "d.h5")


class Hostile:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_that_hides_in_an_npy_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "d.npy", tmp_path / "has-run"
    np.save(path, np.array([[Hostile(trace)]], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"cannot be read as .npy"):
        read_distances(path)
    assert not trace.exists()
