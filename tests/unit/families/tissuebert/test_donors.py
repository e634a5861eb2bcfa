"""No donor is in two splits, whatever the sheet says; tissues of one donor are learnt and never judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.tissuebert.donors import SPLITS, DonorSplits, deal, load_splits, save_splits, shared_donors


def sheet(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["donor", "tissue"])


def dealt(samples: pd.DataFrame, *, seed: int = 0) -> DonorSplits:
    return deal(samples, test=0.2, validation=0.15, seed=seed)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from(["liver", "lung", "gut", ""])), min_size=1),
    st.integers(0, 20),
)
def test_a_donor_is_in_one_split_and_each_tissue_is_learnt(pairs: list[tuple[str, str]], seed: int) -> None:
    samples = sheet(pairs)
    assume((samples["tissue"] != "").any())
    try:
        splits = dealt(samples, seed=seed)
    except UserError:  # a tissue is left without donors to train on; the test below has such a case
        return
    assert shared_donors(samples, splits.part) == []
    known = samples["tissue"] != ""
    assert (splits.part[~known] == -1).all()
    for tissue in set(samples["tissue"][known]):
        parts = splits.part[samples["tissue"] == tissue]
        assert 0 in parts
        assert (2 in parts) == (tissue not in splits.untestable)


def test_shares_are_those_asked_for_and_small_tissues_give_what_they_can() -> None:
    sizes = {"one": 1, "two": 2, "three": 3, "six": 6, "many": 40}
    samples = sheet([(f"{tissue}{number}", tissue) for tissue, size in sizes.items() for number in range(size)])
    splits = dealt(samples)
    found = {tissue: np.bincount(splits.part[samples["tissue"] == tissue], minlength=3).tolist() for tissue in sizes}
    assert found == {"one": [1, 0, 0], "two": [1, 0, 1], "three": [1, 1, 1], "six": [4, 1, 1], "many": [26, 6, 8]}
    assert splits.untestable == ("one",)


def test_copies_go_with_their_donor_and_further_tissues_change_no_other() -> None:
    base = [(f"d{number}", "liver") for number in range(10)]
    splits = dealt(sheet(base * 3))
    np.testing.assert_array_equal(splits.part[:10], splits.part[20:])
    more = dealt(sheet([*base, *((f"e{number}", "colon") for number in range(7))]))
    np.testing.assert_array_equal(more.part[:10], splits.part[:10])


def test_another_seed_deals_otherwise() -> None:
    samples = sheet([(f"d{number}", "liver") for number in range(30)])
    assert (dealt(samples, seed=1).part != dealt(samples, seed=2).part).any()


def test_a_tissue_whose_donors_are_all_dealt_elsewhere_is_refused_and_another_seed_may_do() -> None:
    samples = sheet([("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("a", "z"), ("c", "z")])
    said = []
    for seed in range(20):
        try:
            dealt(samples, seed=seed)
        except UserError as error:
            said.append(str(error))
    assert 0 < len(said) < 20
    assert all("has no donor left to train on" in each and "set another panel.seed" in each for each in said)


def test_samples_without_any_tissue_are_refused() -> None:
    with pytest.raises(UserError, match="no sample has a tissue"):
        dealt(sheet([("a", "")]))


def test_a_leak_is_found_and_unknown_samples_are_none() -> None:
    samples = sheet([("a", "liver"), ("a", "lung"), ("b", "liver"), ("b", "")])
    assert shared_donors(samples, np.array([0, 2, 1, -1])) == ["a"]


def test_splits_come_back(tmp_path: Path) -> None:
    splits = DonorSplits(np.array([0, -1, 2, 1], np.int8), ("x",), given=True)
    save_splits(tmp_path, splits)
    found = load_splits(tmp_path)
    np.testing.assert_array_equal(found.part, splits.part)
    assert (found.untestable, found.given, found.part.dtype) == (("x",), True, np.int8)
    assert [found.samples_in(name).tolist() for name in SPLITS] == [[0], [3], [2]]
