"""The table keeps what all files know, accounts for the rest, and refuses files that do not belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence import raw, table
from ml_core.families.sequence.data import load_table
from ml_core.families.sequence.family import FAMILY
from ml_core.families.sequence.overlap import summarise
from ml_core.families.sequence.phylogeny import shear
from ml_core.families.sequence.readers.newick import read_tree
from ml_core.families.sequence.settings import RawSettings, TableSettings
from ml_core.families.sequence.simulated_files import write_biom
from ml_core.families.sequence.unifrac import within
from ml_core.running import StageRun
from tests.unit.families.sequence.planted import METADATA, newick, sequences, table_of, write_files

ASVS = sequences(5)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - a name, no secret


def test_files_that_know_the_same_give_all_of_it(tmp_path: Path) -> None:
    found, account = table_of(write_files(tmp_path))
    assert found.sample_ids.tolist() == ["s1", "s2", "s3", "s4"]
    assert found.sequences.tolist() == sorted(ASVS)
    assert found.metadata["month"].tolist() == [1, 2, 3.5, 4]
    assert (found.counts.sum(axis=1) == 50).all()
    assert found.counts.shape == found.whole.shape == (4, 5)
    assert account.samples_left_out == []
    assert len(found.tree.tip) == 5


@pytest.mark.parametrize(
    "named", ["md5 in table and tree", "md5 in the table", "lower case in the table", "md5 in the tree"]
)
def test_whatever_asvs_are_called_the_distances_are_the_same(named: str, tmp_path: Path) -> None:
    expected, _ = table_of(write_files(tmp_path / "plain"))
    call = str.lower if named.startswith("lower") else md5
    asv_ids = [call(each) for each in ASVS] if "table" in named else ASVS
    tips = [md5(each) for each in ASVS] if "tree" in named else ASVS
    files = write_files(tmp_path / "named", asv_ids=asv_ids, tips=tips)
    files["sequences"] = tmp_path / "s.fasta"
    files["sequences"].write_text("".join(f">{md5(each)}\n{each}\n" for each in ASVS))
    found, account = table_of(files)
    assert found.sequences.tolist() == expected.sequences.tolist()
    np.testing.assert_array_equal(found.counts.toarray(), expected.counts.toarray())
    matrices = [within(each.counts, tree=each.tree, metric="unweighted", block_samples=4) for each in (found, expected)]
    np.testing.assert_allclose(*matrices)
    assert account.noticed["lower-case letters"] == (5 if named.startswith("lower") else 0)


def test_md5_ids_are_resolved_by_hashing_the_tips_where_there_is_no_fasta(tmp_path: Path) -> None:
    found, _ = table_of(write_files(tmp_path, asv_ids=[md5(each) for each in ASVS], tips=ASVS))
    assert found.sequences.tolist() == sorted(ASVS)


def test_samples_that_are_too_shallow_or_unknown_are_left_out_and_listed(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(20, 60, (4, 5))
    counts[1] = [9, 0, 0, 0, 1]
    files = write_files(tmp_path, counts=counts, metadata=METADATA.replace("s4\t", "elsewhere\t"))
    found, account = table_of(files)
    assert found.sample_ids.tolist() == ["s1", "s3"]
    assert account.samples_left_out == [
        {"sample": "s4", "reason": "not in the metadata", "reads": int(counts[3].sum())},
        {"sample": "s2", "reason": "fewer than 50 reads", "reads": 10},
    ]
    with pytest.raises(UserError, match=r"metadata.tsv: lacks 1 of the table's samples .'s4' for one"):
        table_of(files, without_metadata="error")


def test_asvs_outside_the_tree_or_without_reads_are_left_out_and_counted(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(20, 60, (4, 5))
    counts[0, 1], counts[1:, 1] = 4, 0
    files = write_files(
        tmp_path, counts=counts, tips=[*ASVS[:4], "other"], metadata=METADATA.replace("s1\t", "elsewhere\t")
    )
    found, account = table_of(files)
    assert found.sequences.tolist() == sorted([ASVS[0], *ASVS[2:4]])
    assert account.asvs_left_out == {
        "without a sequence": 0,
        "no tip of the tree": 1,
        "in no sample that is kept": 1,
    }
    whole = read_tree(files["tree"])
    tips = [whole.names.tolist().index(sequence) for sequence in found.sequences]
    np.testing.assert_allclose(
        within(found.counts, tree=found.tree, metric="weighted_normalized", block_samples=4),
        within(found.counts, tree=shear(whole, np.array(tips)), metric="weighted_normalized", block_samples=4),
    )
    summary = summarise(found, account=account, settings=TableSettings(depth=50))
    kept = counts[1:, [0, 2, 3]].sum() / counts[1:].sum()
    assert summary.numbers["table.reads_kept_share"] == pytest.approx(kept)
    assert summary.numbers["table.asvs_on_the_tree_share"] == pytest.approx(4 / 5)
    assert {check.name: check.passed for check in summary.checks}["most_reads_kept"] is False
    with pytest.raises(UserError, match=f"1 of 5 ASVs are no tips of the tree \\('{ASVS[4]}'\\)"):
        table_of(files, outside_tree="error")


def test_extra_samples_share_asvs_and_tree_and_have_no_labels(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    counts = np.full((3, 2), 40)
    write_biom(
        tmp_path / "extra.biom",
        counts,
        sample_ids=np.array(["x1", "s2", "x3"], object),
        asv_ids=np.array([ASVS[1], sequences(1, seed=9)[0]], object),
    )
    (tmp_path / "extra.nwk").write_text(f"({newick(ASVS[:3]).rstrip()[:-1]}:0.1,{sequences(1, seed=9)[0]}:0.7);")
    files |= {"extra_tables_1": tmp_path / "extra.biom", "extra_trees_1": tmp_path / "extra.nwk"}
    found, account = table_of(files)
    assert found.sample_ids.tolist() == ["s1", "s2", "s3", "s4", "x1", "x3"]
    assert found.study.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.main.tolist() == [0, 1, 2, 3]
    assert found.counts.shape == (6, 6)
    assert found.metadata["month"].isna().tolist() == [False] * 4 + [True] * 2
    assert found.metadata["diet"].tolist()[4:] == [None, None]
    assert account.tree["joined_tips"] == 1
    assert account.samples_left_out == [{"sample": "s2", "reason": "in an earlier table already", "reads": 80}]


def test_extra_samples_change_no_sample_of_the_main_table(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    alone, _ = table_of(files)
    further = sequences(2, seed=9)
    write_biom(
        tmp_path / "extra.biom",
        np.full((2, 3), 40),
        sample_ids=np.array(["x1", "x2"], object),
        asv_ids=np.array([*further, ASVS[0]], object),
    )
    files["tree"].write_text(newick([*ASVS, *further]))
    together, _ = table_of(files | {"extra_tables_1": tmp_path / "extra.biom"})
    columns = np.flatnonzero(np.isin(together.sequences, alone.sequences))
    main = together.counts[together.main]
    np.testing.assert_array_equal(main[:, columns].toarray(), alone.counts.toarray())
    assert main.sum() == alone.counts.sum()


def test_sequences_of_mixed_length_and_with_n_are_kept_trimmed_and_counted(tmp_path: Path) -> None:
    asvs = [ASVS[0], ASVS[1][:25], ASVS[2][:20] + "NNNNN", ASVS[0][:20] + ASVS[3][20:], ASVS[4].lower()]
    found, account = table_of(write_files(tmp_path, asv_ids=asvs, tips=asvs), max_bp=20)
    assert {len(sequence) for sequence in found.sequences} == {20}
    assert found.counts.shape[1] == 5
    noticed = {words: count for words, count in account.noticed.items() if count}
    assert noticed == {
        "N": 1,
        "lower-case letters": 1,
        "longer than max_bp, trimmed": 5,
        "like another one after trimming": 1,
    }
    remarks = summarise(found, account=account, settings=TableSettings(depth=50)).tables["Repairs and remarks"]
    assert {"remark": "sequences: N", "count": 1} in remarks


def test_ids_that_are_not_in_the_tree_are_shown_beside_its_tips(tmp_path: Path) -> None:
    files = write_files(tmp_path, tips=[f"GG{number}" for number in range(5)])
    with pytest.raises(UserError, match=r"none of its 5 ASVs is a tip of the tree; ASVs are called '.*', tips 'GG0'"):
        table_of(files)


def test_no_shared_sample_is_an_error_that_shows_both_sides(tmp_path: Path) -> None:
    files = write_files(tmp_path, metadata=METADATA.replace("\ns", "\nsample."))
    sentence = r"has none of the table's 4 samples; the table's are called 's1', .* the metadata's 'sample.1'"
    with pytest.raises(UserError, match=sentence):
        table_of(files)


def test_a_depth_that_no_sample_has_is_refused_with_the_largest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"all 4 samples have fewer than table.depth=5000 reads .* lower table.depth"):
        table_of(write_files(tmp_path), depth=5000)


def test_a_sample_of_exactly_the_depth_is_kept_as_it_is(tmp_path: Path) -> None:
    counts = np.array([[10, 20, 0, 5, 15], [50, 0, 0, 0, 1], [49, 0, 0, 0, 0], [0, 0, 50, 0, 0]])
    found, _ = table_of(write_files(tmp_path, counts=counts))
    assert found.sample_ids.tolist() == ["s1", "s2", "s4"]
    np.testing.assert_array_equal(found.counts[[0, 2]].toarray(), found.whole[[0, 2]].toarray())


def test_duplicate_tips_are_refused_by_default(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tree.nwk: 1 tips have the name of another one"):
        table_of(write_files(tmp_path, tips=[*ASVS, ASVS[0]]))


def test_asvs_without_a_sequence_can_be_refused(tmp_path: Path) -> None:
    files = write_files(tmp_path, asv_ids=[*ASVS[:4], "asv5"], tips=ASVS)
    assert table_of(files)[0].counts.shape[1] == 4
    with pytest.raises(UserError, match=r"1 ASVs have no sequence \(asv5\)"):
        table_of(files, without_sequence="error")


def test_the_order_of_rows_and_columns_in_the_file_changes_no_sample(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(20, 60, (4, 5))
    expected, _ = table_of(write_files(tmp_path / "a", counts=counts))
    order = [3, 0, 4, 1, 2]
    files = write_files(tmp_path / "b", asv_ids=[ASVS[at] for at in order], tips=ASVS, counts=counts[:, order])
    found, _ = table_of(files)
    np.testing.assert_array_equal(found.counts.toarray(), expected.counts.toarray())


def test_the_stage_writes_what_it_says(tmp_path: Path) -> None:
    inputs = {}
    for name, stage, settings in (
        ("raw", raw, RawSettings(**FAMILY.smallest["raw"])),
        ("table", table, TableSettings(**FAMILY.smallest["table"])),
    ):
        (tmp_path / name).mkdir()
        summary = stage.build(StageRun(settings, dict(inputs), tmp_path / name, tmp_path, tmp_path))
        inputs[name] = Artifact(tmp_path / name)
    assert {check.name for check in summary.checks} == {check.name for check in FAMILY["table"].checks}
    found = load_table(tmp_path / "table")
    assert summary.numbers["table.samples"] == len(found.main)
    assert summary.numbers["table.extra_samples"] == len(found) - len(found.main) > 0
    assert (found.counts.sum(axis=1) == 200).all()
    assert (found.counts.toarray() <= found.whole.toarray()).all()
    assert len(found.metadata) == len(found)
    assert (tmp_path / "table" / "figures" / "table.png").is_file()
