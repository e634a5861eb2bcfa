"""Newick comes with its names and lengths as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.readers.newick import read_tree
from ml_core.families.sequence.simulated_files import newick
from tests.unit.families.sequence.planted import artifact, random_phylogeny


def test_names_keep_their_underscores_and_missing_lengths_stay_missing(tmp_path: Path) -> None:
    (tmp_path / "t.nwk").write_text("((a_1:1.5,'b c':2)0.93:0.5,d);\n")
    found = read_tree(tmp_path / "t.nwk")
    assert found.names.tolist() == ["a_1", "b c", "", "d", ""]
    assert found.parent.tolist() == [2, 2, 4, 4, -1]
    np.testing.assert_array_equal(found.length, [1.5, 2, 0.5, np.nan, np.nan])


def test_an_artifact_is_the_same_tree(tmp_path: Path) -> None:
    tree = random_phylogeny(9, seed=4)
    path = artifact(tmp_path / "t.qza", kind="Phylogeny[Rooted]", member="tree.nwk", data=newick(tree).encode())
    found = read_tree(path)
    depth = {found.names[tip]: found.depth[tip] for tip in found.tips}
    assert depth == {tree.names[tip]: pytest.approx(tree.depth[tip], abs=1e-7) for tip in tree.tips}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("((a:1,b:1);", "cannot be read as Newick"),
        ("(a:1,b:1));", "cannot be read as Newick"),
        ("hello world", "cannot be read as Newick"),
        ("((a:1,:1):1,c:1);", "1 of 3 tips have no name"),
        ("", "is empty, expected a tree as Newick"),
    ],
)
def test_what_is_no_tree_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.nwk").write_text(text)
    with pytest.raises(UserError, match=f"t.nwk: {sentence}"):
        read_tree(tmp_path / "t.nwk")
