"""No group is in two splits, each is tested once, and folds are alike in what they are stratified by."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import sparse

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence import splits as stage
from ml_core.families.sequence.data import SPLITS, SampleTable, Tree, load_splits, save_table
from ml_core.families.sequence.settings import SplitsSettings
from ml_core.families.sequence.splits import groups_of, shared_groups, split
from ml_core.running import StageRun


def cohort(sizes: list[int], *, extra: int = 0, seed: int = 0) -> SampleTable:
    """Subjects with so many samples each: their level of `month` differs, `class` is one of the subject's."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(len(sizes)), sizes)
    order = rng.permutation(len(subject))
    subject = subject[order]
    n = len(subject)
    metadata = pd.DataFrame(
        {
            "subject": [f"p{each}" for each in subject],
            "number": subject.astype(float),
            "month": subject + rng.random(n),
            "class": np.where(subject % 3 == 0, "rare", "usual"),
        }
    )
    metadata = metadata.reindex(range(n + extra))
    metadata[["subject", "class"]] = metadata[["subject", "class"]].astype(object).where(metadata.notna(), None)
    counts = sparse.csr_matrix(np.ones((n + extra, 2), np.int32))
    return SampleTable(
        sample_ids=np.array([f"s{number}" for number in range(n + extra)], object),
        asv_ids=np.array(["a", "b"], object),
        sequences=np.array(["ACGT", "ACGA"], object),
        counts=counts,
        whole=counts,
        metadata=metadata,
        study=np.repeat(np.array([0, 1], np.int8), [n, extra]),
        depth=2,
        seed=0,
        tree=Tree(np.array([2, 2, -1], np.int32), np.array([1.0, 1.0, 0.0]), np.array([0, 1], np.int32)),
    )


@given(
    st.lists(st.integers(1, 9), min_size=6, max_size=30),
    st.integers(2, 5),
    st.integers(0, 100),
    st.sampled_from([None, "month", "class"]),
)
@hypothesis_settings(max_examples=40)
def test_no_group_is_in_two_splits_and_each_is_tested_once(
    sizes: list[int], folds: int, seed: int, stratify_by: str | None
) -> None:
    table = cohort(sizes, extra=3, seed=seed)
    tested = []
    for fold in range(folds):
        settings = SplitsSettings(folds=folds, fold=fold, seed=seed, stratify_by=stratify_by, draws=5)
        splits = split(table, settings=settings)
        assert shared_groups(splits) == 0
        assert splits.samples_in("extra").tolist() == [len(table) - 3, len(table) - 2, len(table) - 1]
        assert all(len(splits.samples_in(name)) for name in SPLITS)
        tested += splits.samples_in("test").tolist()
    assert sorted(tested) == table.main.tolist()


def test_a_group_in_two_splits_is_found() -> None:
    splits = split(cohort([4] * 10), settings=SplitsSettings())
    part = splits.part.copy()
    part[splits.samples_in("test")[0]] = SPLITS.index("train")
    assert shared_groups(dataclasses.replace(splits, part=part)) == 1


def of_each_test_set(table: SampleTable, column: str, *, stratify_by: str | None) -> list[pd.Series]:
    parts = [split(table, settings=SplitsSettings(fold=fold, stratify_by=stratify_by)) for fold in range(5)]
    return [table.metadata[column].iloc[part.samples_in("test")] for part in parts]


def test_folds_are_alike_in_the_mean_of_a_number() -> None:
    table = cohort([5] * 40)
    with_it, without = (
        float(np.std([values.mean() for values in of_each_test_set(table, "month", stratify_by=stratify_by)]))
        for stratify_by in ("month", None)
    )
    assert with_it < 1.0  # of months 0 to 40
    assert with_it < without


def test_folds_are_alike_in_the_groups_of_each_class() -> None:
    found = of_each_test_set(cohort([3] * 30), "class", stratify_by="class")
    np.testing.assert_allclose([(values == "rare").mean() for values in found], 1 / 3, atol=1e-9)


def test_splits_have_about_the_asked_size_though_groups_differ() -> None:
    sizes = np.random.default_rng(1).integers(2, 30, 43).tolist()
    splits = split(cohort(sizes), settings=SplitsSettings(stratify_by="month"))
    share = np.bincount(splits.part) / len(splits.part)
    np.testing.assert_allclose(share, [0.8 * 0.85, 0.8 * 0.15, 0.2], atol=0.03)


def test_the_same_seed_gives_the_same_splits_and_another_one_others() -> None:
    parts = [split(cohort([4] * 20), settings=SplitsSettings(seed=seed)).part for seed in (3, 3, 4)]
    np.testing.assert_array_equal(parts[0], parts[1])
    assert (parts[0] != parts[2]).any()


def test_groups_can_be_numbers_or_the_samples_themselves() -> None:
    table = cohort([2, 2, 1], extra=1)
    assert set(groups_of(table, column="number")) == {"0", "1", "2", ""}
    assert groups_of(table, column=None).tolist() == ["s0", "s1", "s2", "s3", "s4", ""]
    table.metadata["number"] += 10_249_001
    assert set(groups_of(table, column="number")) == {"10249001", "10249002", "10249003", ""}


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    for field in ("group_column", "stratify_by"):
        settings = SplitsSettings(**{field: "child"})
        sentence = f"splits.{field}: the metadata have no column 'child', they have subject, number, month, class"
        with pytest.raises(UserError, match=sentence):
            split(cohort([2] * 10), settings=settings)


def test_too_few_groups_and_unknown_ones_are_refused() -> None:
    with pytest.raises(UserError, match="column 'class' has 2 groups among 20 samples, expected at least 6"):
        split(cohort([2] * 10), settings=SplitsSettings(group_column="class"))
    table = cohort([2] * 10)
    table.metadata.loc[3, "subject"] = None
    with pytest.raises(UserError, match=r"1 samples have no value in column 'subject' \('s3' for one\)"):
        split(table, settings=SplitsSettings())


def test_a_fold_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="fold is 5, expected 0 to 4 with 5 folds"):
        SplitsSettings.parse({"fold": 5}, where="test")


@pytest.mark.parametrize("stratify_by", [None, "month", "class"])
def test_the_stage_writes_what_it_says(stratify_by: str | None, tmp_path: Path) -> None:
    save_table(tmp_path / "table", cohort([4] * 20, extra=5))
    (tmp_path / "splits").mkdir()
    inputs = {"table": Artifact(tmp_path / "table")}
    run = StageRun(SplitsSettings(stratify_by=stratify_by), inputs, tmp_path / "splits", tmp_path, tmp_path)
    summary = stage.build(run)
    assert {check.name: check.passed for check in summary.checks} == {
        "no_shared_group": True,
        "all_splits_filled": True,
    }
    assert summary.numbers["split.shared_groups"] == 0
    splits = load_splits(tmp_path / "splits")
    assert [summary.numbers[f"split.{name}_samples"] for name in SPLITS] == np.bincount(splits.part).tolist()
    assert (splits.fold, splits.folds, splits.seed) == (0, 5, 0)
    assert (tmp_path / "splits" / "figures" / "splits.png").is_file()
