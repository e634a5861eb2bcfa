"""What a stage saves, the next one loads as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.data import (
    GroupSplits,
    create_distances,
    load_distances,
    load_splits,
    load_table,
    save_splits,
    save_table,
)
from tests.unit.families.sequence.planted import table_of, write_files


def test_a_table_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    text = "id\tmonth\tdiet\tempty\ns1\t1\tmilk\t\ns2\t\t\t\ns3\t3.5\tsolid\t\ns4\t4\tsolid\t\n"
    saved, _ = table_of(write_files(tmp_path / "files", metadata=text))
    save_table(tmp_path / "table", saved)
    loaded = load_table(tmp_path / "table")
    for name in ("sample_ids", "asv_ids", "sequences", "study"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    for name in ("counts", "whole"):
        np.testing.assert_array_equal(getattr(loaded, name).toarray(), getattr(saved, name).toarray())
        assert getattr(loaded, name).dtype == np.int32
    for name in ("parent", "length", "tip"):
        np.testing.assert_array_equal(getattr(loaded.tree, name), getattr(saved.tree, name))
    pd.testing.assert_frame_equal(loaded.metadata, saved.metadata)
    assert (loaded.depth, loaded.seed) == (50, 0)
    assert loaded.metadata["diet"].tolist() == ["milk", None, "solid", "solid"]


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    table, _ = table_of(write_files(tmp_path))
    assert table.column("month", setting="predictor.target").tolist() == [1, 2, 3.5, 4]
    with pytest.raises(
        UserError, match=r"predictor.target: the metadata have no column 'age', they have subject, month"
    ):
        table.column("age", setting="predictor.target")


def test_distances_are_filled_in_place_and_loaded_as_a_map(tmp_path: Path) -> None:
    out = create_distances(tmp_path, samples=3, faith=np.array([1.0, 2.0, 3.0]), metric="unweighted")
    out[:] = np.arange(9).reshape(3, 3)
    del out
    found = load_distances(tmp_path)
    np.testing.assert_array_equal(found.matrix, np.arange(9).reshape(3, 3))
    assert found.matrix.dtype == np.float32
    assert found.faith.tolist() == [1, 2, 3]


def test_splits_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    saved = GroupSplits(
        np.array([0, 2, 1, 3], np.uint8), np.array(["a", "b", "c", ""], object), fold=1, folds=4, seed=2
    )
    save_splits(tmp_path, saved)
    loaded = load_splits(tmp_path)
    np.testing.assert_array_equal(loaded.part, saved.part)
    assert loaded.group.tolist() == saved.group.tolist()
    assert (loaded.fold, loaded.folds, loaded.seed) == (1, 4, 2)
    assert loaded.samples_in("test").tolist() == [1]
