"""Each fault of a tree is mended and counted, or refused, as the settings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.phylogeny import Phylogeny
from ml_core.families.sequence.readers.newick import read_tree
from ml_core.families.sequence.settings import TableSettings
from ml_core.families.sequence.tree_repair import repair
from tests.unit.families.sequence.planted import tip_distances

FAULTY = {
    "missing_lengths": ("((a:1,b):1,c:2);", "zero", "1 branches have no length"),
    "negative_lengths": ("((a:1,b:-0.5):1,c:2);", "zero", "1 branches have a negative length"),
    "duplicate_tips": ("((a:1,a:3):1,c:2);", "first", "1 tips have the name of another one, 'a' for one"),
    "unrooted": ("(a:1,b:1,c:2);", "midpoint", "the root has 3 branches"),
}


def tree(text: str, folder: Path) -> Phylogeny:
    (folder / "tree.nwk").write_text(text)
    return read_tree(folder / "tree.nwk")


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_mended_and_counted_or_refused(fault: str, tmp_path: Path) -> None:
    text, mend, sentence = FAULTY[fault]
    path = tmp_path / "tree.nwk"
    mended, found = repair(tree(text, tmp_path), path=path, settings=TableSettings(**{fault: mend}))
    assert {name for name, count in found.items() if count} == {fault}
    assert found[fault] == 1
    assert np.isfinite(mended.length).all()
    assert (mended.length >= 0).all()
    names = [name for name in mended.names[mended.tips] if name]
    assert len(set(names)) == len(names)
    with pytest.raises(UserError, match=f"tree.nwk: {sentence}.*set table.{fault}={mend}"):
        repair(tree(text, tmp_path), path=path, settings=TableSettings(**{fault: "error"}))


def test_of_two_tips_of_one_name_the_first_is_taken(tmp_path: Path) -> None:
    settings = TableSettings(duplicate_tips="first")
    mended, _ = repair(tree("((a:1,a:3):1,c:2);", tmp_path), path=tmp_path, settings=settings)
    assert tip_distances(mended)["a", "c"] == 4


def test_a_root_with_three_branches_can_be_kept(tmp_path: Path) -> None:
    kept, found = repair(tree("(a:1,b:1,c:2);", tmp_path), path=tmp_path, settings=TableSettings(unrooted="keep"))
    assert found["unrooted"] == 0
    assert len(kept) == 4


def test_a_whole_tree_stays_as_it_is_and_loses_what_is_above_its_root(tmp_path: Path) -> None:
    mended, found = repair(tree("((a:1,b:2):1,c:2):7;", tmp_path), path=tmp_path, settings=TableSettings())
    assert not any(found.values())
    assert mended.length[-1] == 0
    assert tip_distances(mended)["a", "c"] == 4


def test_a_tree_without_any_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no branch has a length, expected lengths for UniFrac"):
        repair(tree("((a,b),c);", tmp_path), path=tmp_path, settings=TableSettings())
