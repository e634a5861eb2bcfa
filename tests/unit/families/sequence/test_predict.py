"""New samples: unseen ASVs are read, shallow samples are named, and what is missing is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.sequence.predict import new_table
from ml_core.families.sequence.report_settings import PredictSettings

ASVS = ["ACGT" * 8, "acgg" * 8, "ACNT" * 8]


def written(folder: Path, rows: dict[str, list[int]]) -> Path:
    """A TSV with ASVs as rows and samples as columns."""
    lines = ["#OTU ID\t" + "\t".join(rows)]
    lines += ["\t".join([asv, *(str(counts[place]) for counts in rows.values())]) for place, asv in enumerate(ASVS)]
    path = folder / "table.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_deep_samples_are_rarefied_and_shallow_ones_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"deep": [60, 30, 30], "shallow": [1, 2, 3]})
    table, shallow, nameless = new_table(PredictSettings(table=str(path)), depth=100, seed=0, max_bp=30, covariates=[])
    assert table.sample_ids.tolist() == ["deep"]
    assert shallow == ["shallow"]
    assert nameless == 0
    assert table.counts.sum() == 100
    assert table.whole.sum() == 120
    assert {len(each) for each in table.sequences} == {30}
    assert all(set(each) <= set("ACGTN") for each in table.sequences)


def test_the_same_sample_is_rarefied_alike_whatever_else_the_table_holds(tmp_path: Path) -> None:
    alone, beside = (
        new_table(PredictSettings(table=str(written(tmp_path, rows))), depth=50, seed=3, max_bp=30, covariates=[])[0]
        for rows in ({"a": [60, 30, 30]}, {"b": [90, 9, 9], "a": [60, 30, 30]})
    )
    np.testing.assert_array_equal(
        alone.counts.toarray()[0], beside.counts.toarray()[beside.sample_ids.tolist().index("a")]
    )


def test_a_table_of_shallow_samples_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [1, 2, 3], "b": [4, 4, 4]})
    with pytest.raises(UserError, match="its 2 samples have 12 reads or fewer, expected at least the 100"):
        new_table(PredictSettings(table=str(path)), depth=100, seed=0, max_bp=30, covariates=[])


def test_covariates_must_be_given_for_every_sample(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [60, 30, 30], "b": [60, 30, 30]})
    asked = {"depth": 50, "seed": 0, "max_bp": 30, "covariates": ["diet"]}
    with pytest.raises(UserError, match="this model also reads diet; give the samples' metadata"):
        new_table(PredictSettings(table=str(path)), **asked)
    metadata = tmp_path / "metadata.tsv"
    settings = PredictSettings(table=str(path), metadata=str(metadata))
    metadata.write_text("sample_id\tage\na\t1\nb\t2\n")
    with pytest.raises(UserError, match="has no column 'diet', which this model reads; it has age"):
        new_table(settings, **asked)
    metadata.write_text("sample_id\tdiet\na\tmilk\n")
    with pytest.raises(UserError, match=r"lacks 1 samples of the table \(b\)"):
        new_table(settings, **asked)
    metadata.write_text("sample_id\tdiet\nb\tsolid\na\tmilk\n")
    assert new_table(settings, **asked)[0].metadata["diet"].tolist() == ["milk", "solid"]
