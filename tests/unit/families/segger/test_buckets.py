"""Rows dealt out to buckets keep their order in each; array files are those that numpy would save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_core.families.segger.buckets import Buckets
from ml_core.families.segger.data import ArrayFile


@given(seed=st.integers(0, 10_000), buckets=st.integers(1, 9), at_once=st.integers(1, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_each_bucket_gets_its_rows_in_the_order_in_which_they_came(
    tmp_path: Path, seed: int, buckets: int, at_once: int
) -> None:
    rng = np.random.default_rng(seed)
    of, xy = rng.integers(0, buckets, 50), rng.random((50, 2))
    dealt = Buckets(tmp_path / str(seed), sizes=np.bincount(of, minlength=buckets))
    for start in range(0, 50, at_once):
        part = slice(start, start + at_once)
        dealt.deal(of[part], number=np.arange(50)[part], xy=xy[part])
    assert len(dealt) == buckets
    for bucket in range(buckets):
        found = dealt.read(bucket)
        assert found["number"].tolist() == np.flatnonzero(of == bucket).tolist()
        np.testing.assert_array_equal(found["xy"], xy[of == bucket])


def test_a_bucket_never_runs_over_into_the_next(tmp_path: Path) -> None:
    dealt = Buckets(tmp_path, sizes=np.array([1, 5]))
    with pytest.raises(AssertionError, match="bucket 0 gets more rows than it was made for"):
        dealt.deal(np.array([0, 0]), number=np.arange(2))


def test_an_array_written_in_pieces_is_the_file_that_numpy_saves(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((17, 3)).astype(np.float32)
    file = ArrayFile.create(tmp_path / "pieces.npy", shape=values.shape, dtype=values.dtype)
    for start in (10, 0, 5):
        file.write(start, values[start : start + 7])
    np.save(tmp_path / "whole.npy", values)
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    again = ArrayFile.of(tmp_path / "whole.npy")
    np.testing.assert_array_equal(again.read(slice(3, 9)), values[3:9])
    assert again.read(slice(4, 4)).shape == (0, 3)
    with pytest.raises(AssertionError, match="holds float32, not float64"):
        file.write(0, values.astype(np.float64))
