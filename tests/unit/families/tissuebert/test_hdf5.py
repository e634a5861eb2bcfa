"""What is written into regions.h5 is what is read, by memory map, and a file that is not as it should be says so."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.hdf5_writer import RegionsWriter, Rows
from ml_core.families.tissuebert.tokens import unknown_tokens

REGIONS = 6


def frame(count: int = REGIONS) -> pd.DataFrame:
    numbers = np.arange(count)
    return pd.DataFrame(
        {
            "chromosome": "chr1",
            "start": numbers * 1000,
            "end": numbers * 1000 + 150,
            "start_cpg": numbers * 5 + 1,
            "end_cpg": numbers * 5 + 6,
            "target": ["liver", "", "Blut-Ä", "liver", "", ""][:count],
            "direction": ["U", "", "M", "U", "", ""][:count],
            "block": [f"chr1:{start}" for start in numbers * 1000],
        }
    )


def writer(path: Path, *, compress: bool = False) -> RegionsWriter:
    return RegionsWriter(
        path,
        dna_tokens=unknown_tokens(REGIONS),
        cpg_position=np.tile(np.array([3, 9, 20, 60, 100], np.uint8), (REGIONS, 1)),
        n_cpg=np.full(REGIONS, 5, np.uint8),
        regions=frame(),
        tissues=pd.DataFrame({"name": ["liver", "Blut-Ä"], "group": ["gut", "blood"]}),
        build="hg19",
        sequence_source="none",
        panel_digest="abc",
        cpgs=28_217_448,
        compress=compress,
    )


def rows(count: int, *, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(
        region=np.sort(rng.integers(0, REGIONS, count)),
        states=rng.integers(0, 4, (count, 150)).astype(np.uint8),
        count=rng.integers(1, 9, count),
        n_meth=rng.integers(0, 3, count),
        n_cov=rng.integers(3, 6, count),
    )


def written(path: Path, sizes: list[int], *, compress: bool = False) -> list[Rows]:
    made = [rows(size, seed=number) for number, size in enumerate(sizes)]
    with writer(path, compress=compress) as out:
        for number, each in enumerate(made):
            out.start_sample(name=f"s{number}", donor=f"d{number}", tissue="liver", coverage=3.5, synthetic=number == 1)
            half = len(each) // 2
            for part in (slice(0, half), slice(half, None)):
                out.append(Rows(**{name: values[part] for name, values in vars(each).items()}))
    return made


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4), compress=st.booleans())
@hypothesis_settings(max_examples=25, deadline=None)
def test_rows_come_back_sample_by_sample(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], compress: bool
) -> None:
    path = tmp_path_factory.mktemp("regions") / "regions.h5"
    made = written(path, sizes, compress=compress)
    found = open_regions(path)
    assert len(found) == sum(sizes)
    for number, each in enumerate(made):
        mine = found.rows_of(number)
        np.testing.assert_array_equal(found.states[mine], each.states)
        np.testing.assert_array_equal(found.row_region[mine], each.region)
        np.testing.assert_array_equal(found.row_count[mine], each.count)
        np.testing.assert_array_equal(found.n_meth[mine], each.n_meth)
        np.testing.assert_array_equal(found.n_cov[mine], each.n_cov)
        assert set(found.row_sample[mine]) <= {number}
    assert [path.name for path in path.parent.iterdir()] == ["regions.h5"]


def test_tables_and_attributes_come_back_and_unknown_tissues_have_no_number(tmp_path: Path) -> None:
    with writer(tmp_path / "regions.h5") as out:
        for name, tissue in (("a", "Blut-Ä"), ("b", ""), ("c", "liver")):
            out.start_sample(name=name, donor="d", tissue=tissue, kind="counts", coverage=2.0)
            out.append(rows(2, seed=0))
    found = open_regions(tmp_path / "regions.h5")
    pd.testing.assert_frame_equal(found.regions, frame())
    assert found.tissue_of_sample.tolist() == [1, -1, 0]
    assert found.samples["kind"].tolist() == ["counts"] * 3
    assert (found.build, found.sequence_source, found.panel_digest, found.cpgs) == ("hg19", "none", "abc", 28_217_448)
    assert found.n_cpg.tolist() == [5] * REGIONS


def test_states_are_mapped_and_the_file_is_opened_once(tmp_path: Path) -> None:
    written(tmp_path / "regions.h5", [10])
    found = open_regions(tmp_path / "regions.h5")
    assert isinstance(found.states, np.memmap)
    assert open_regions(tmp_path / "regions.h5") is found
    assert pickle.loads(pickle.dumps(found)) is found  # noqa: S301 - what a worker gets: the path
    written(tmp_path / "regions.h5", [11])
    assert len(open_regions(tmp_path / "regions.h5")) == 11


def test_a_worker_gets_the_path_and_not_the_reads(tmp_path: Path) -> None:
    written(tmp_path / "regions.h5", [500])
    assert len(pickle.dumps(open_regions(tmp_path / "regions.h5"))) < 1000


def test_after_an_error_there_is_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with writer(tmp_path / "regions.h5") as out:
            out.start_sample(name="a", donor="d", tissue="liver", coverage=1.0)
            out.append(rows(5, seed=0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_two_samples_of_one_name_and_counts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with writer(tmp_path / "regions.h5") as out:
        out.start_sample(name="a", donor="d", tissue="liver", coverage=1.0)
        with pytest.raises(UserError, match="two samples 'a'"):
            out.start_sample(name="a", donor="e", tissue="liver", coverage=1.0)
        many = rows(3, seed=0)
        many.n_cov[1] = 70_000
        with pytest.raises(UserError, match="sample 'a' has 70,000 in n_cov of a region, at most 65,535"):
            out.append(many)
        out.append(rows(4, seed=1))
    np.testing.assert_array_equal(open_regions(tmp_path / "regions.h5").states, rows(4, seed=1).states)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change(act: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            act(file)

    return work


def replace(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def act(file: h5py.File) -> None:
        values = file[name][()]
        del file[name]
        file[name] = make(values)

    return change(act)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (cut, "is damaged or truncated"),
    "no HDF5": (lambda path: path.write_text("chr1\t1\t2\n" * 50) and None, "is damaged or truncated"),
    "another version": (change(lambda file: file.attrs.update(version="0")), "is of version 0, expected .* version 1"),
    "without version": (change(lambda file: file.attrs.__delitem__("version")), "has no attribute 'version'"),
    "without build": (change(lambda file: file.attrs.__delitem__("build")), "is damaged or truncated"),
    "without a dataset": (change(lambda file: file.__delitem__("n_cov")), "has no dataset 'n_cov'"),
    "another type": (
        replace("states", lambda values: values.astype(np.int16)),
        r"dataset 'states' is int16 \[12, 150\], expected uint8 \[rows, 150\]",
    ),
    "another width": (replace("states", lambda values: values[:, :149]), r"'states' is uint8 \[12, 149\]"),
    "fewer rows": (replace("row_count", lambda values: values[:-1]), r"'row_count' is uint16 \[11\]"),
    "offsets": (replace("sample_offset", lambda values: values[::-1].copy()), "sample_offset does not divide 12 rows"),
    "regions that are not": (
        replace("row_region", lambda values: values + np.int32(90)),
        "row_region has numbers outside 0 to 5",
    ),
    "samples that are not": (replace("row_sample", lambda values: values[::-1].copy()), "row_sample disagrees"),
    "a column too short": (replace("region/target", lambda values: values[:-1]), "is damaged or truncated"),
}


@pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_file_that_is_not_as_it_should_be_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "regions.h5"
    written(path, [5, 7])
    spoil(path)
    with pytest.raises(UserError, match=said) as caught:
        open_regions(path)
    assert str(path) in str(caught.value)
    assert "make it anew with the stage regions" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.h5: does not exist"):
        open_regions(tmp_path / "gone.h5")


def test_an_empty_table_of_rows_opens(tmp_path: Path) -> None:
    written(tmp_path / "regions.h5", [0, 0])
    found: Regions = open_regions(tmp_path / "regions.h5")
    assert found.states.shape == (0, 150)
    assert found.rows_of(1).tolist() == []
