"""The data stages of sequence on the infants of ECAM and the adults of UDCA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.artifacts import Artifact
from ml_core.families.sequence import distances, raw, splits, table
from ml_core.families.sequence.data import SampleTable, load_distances, load_splits, load_table
from ml_core.families.sequence.overlap import Account
from ml_core.families.sequence.peer import as_scikit_bio, unifrac_of_scikit_bio
from ml_core.families.sequence.settings import RawSettings, SplitsSettings, TableSettings, UnifracSettings
from ml_core.families.sequence.unifrac import Metric, faith_pd, within
from ml_core.running import StageRun
from ml_core.settings import Settings
from ml_core.summary import Summary


def run(folder: Path, name: str, build, settings: Settings, *inputs: str) -> Summary:
    (folder / name).mkdir()
    artifacts = {stage: Artifact(folder / stage) for stage in inputs}
    summary = build(StageRun(settings, artifacts, folder / name, folder / "work", folder / "cache"))
    assert all(check.passed for check in summary.checks)
    return summary


def files_of(real_data: Path, study: str) -> dict[str, Path]:
    folder = real_data / "sequence" / study
    return {"table": folder / "table.biom", "tree": folder / "tree.nwk", "metadata": folder / "metadata.tsv"}


def read(files: dict[str, Path]) -> SampleTable:
    return table.read(files, settings=TableSettings(), account=Account())


def test_every_data_stage_on_infants_with_adults_as_extra_samples(real_data: Path, tmp_path: Path) -> None:
    ecam, udca = (files_of(real_data, study) for study in ("ecam", "udca"))
    named = {name: str(path) for name, path in ecam.items()}
    extra = {"extra_tables": [str(udca["table"])], "extra_trees": [str(udca["tree"])]}
    run(tmp_path, "raw", raw.build, RawSettings(source="path", **named, **extra))
    numbers = run(tmp_path, "table", table.build, TableSettings(), "raw").numbers
    assert [numbers[f"table.{name}"] for name in ("samples", "extra_samples", "asvs", "samples_left_out")] == [
        875,
        799,
        4_367,
        3,
    ]
    assert numbers["table.tree.joined_tips"] == 34
    found = run(tmp_path, "unifrac", distances.build, UnifracSettings(), "raw", "table").numbers
    assert found["unifrac.standard_deviation"] > 0.1
    matrix = load_distances(tmp_path / "unifrac").matrix
    assert matrix.shape == (1_674, 1_674)
    tested: list[int] = []
    for fold in range(5):
        folder = tmp_path / str(fold)
        folder.mkdir()
        (folder / "table").symlink_to(tmp_path / "table")
        settings = SplitsSettings(group_column="studyid", stratify_by="month", fold=fold)
        numbers = run(folder, "splits", splits.build, settings, "table").numbers
        assert numbers["split.shared_groups"] == 0
        assert numbers["split.extra_samples"] == 799
        tested += load_splits(folder / "splits").samples_in("test").tolist()
    assert sorted(tested) == load_table(tmp_path / "table").main.tolist()


def test_the_joined_tree_is_both_trees(real_data: Path) -> None:
    """ECAM's root lies 0.99 below UDCA's: in the joined tree its samples have that much more branch length each."""
    ecam, udca = (files_of(real_data, study) for study in ("ecam", "udca"))
    joined = read(ecam | {"extra_tables_1": udca["table"], "extra_trees_1": udca["tree"]})
    for alone, rows in ((read(ecam), joined.study == 0), (read(udca), joined.study == 1)):
        assert alone.sample_ids.tolist() == joined.sample_ids[rows].tolist()
        apart = faith_pd(joined.counts[rows], tree=joined.tree, block_samples=512) - faith_pd(
            alone.counts, tree=alone.tree, block_samples=512
        )
        np.testing.assert_allclose(apart, apart[0], atol=1e-6)
        assert apart[0] == pytest.approx(0.991804, abs=1e-6) or apart[0] == pytest.approx(0, abs=1e-6)


def test_artifacts_of_qiime_2_with_md5_ids_give_the_same_distances(real_data: Path) -> None:
    folder = real_data / "sequence" / "udca"
    plain = read(files_of(real_data, "udca"))
    hashed = read(
        {
            "table": folder / "table.qza",
            "tree": folder / "rooted-tree.qza",
            "metadata": folder / "metadata.tsv",
            "sequences": folder / "rep-seqs.qza",
        }
    )
    assert sorted(hashed.sample_ids) == sorted(plain.sample_ids)
    np.testing.assert_array_equal(hashed.sequences, plain.sequences)
    rows = np.argsort(hashed.sample_ids)[:100], np.argsort(plain.sample_ids)[:100]
    assert (hashed.counts[rows[0]] != plain.counts[rows[1]]).nnz == 0
    matrices = [
        within(each.counts[chosen], tree=each.tree, metric="weighted_normalized", block_samples=512)
        for each, chosen in zip((hashed, plain), rows, strict=True)
    ]
    np.testing.assert_allclose(*matrices, atol=1e-6)


@pytest.mark.parametrize("metric", ["unweighted", "weighted_normalized"])
def test_it_equals_scikit_bio(real_data: Path, metric: Metric) -> None:
    ecam = read(files_of(real_data, "ecam"))
    counts = ecam.counts[::15]
    expected = unifrac_of_scikit_bio(counts.toarray(), as_scikit_bio(ecam.tree), metric)
    found = within(counts, tree=ecam.tree, metric=metric, block_samples=512)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
