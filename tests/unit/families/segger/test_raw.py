"""Raw files are copied and never written to; the simulator is one more source."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ml_core.artifacts import file_digests
from ml_core.errors import UserError
from ml_core.families.segger import raw
from ml_core.families.segger.settings import RawSettings


def test_a_bundles_files_are_copied_under_canonical_names_and_left_as_they_are(stages, bundle: Path) -> None:
    (bundle / "analysis.zarr").write_text("not needed")
    before = file_digests(bundle)
    for path in bundle.iterdir():
        os.chmod(path, 0o444)
    summary = stages.run("raw", raw.build, RawSettings(source="path", bundle=str(bundle)))
    assert file_digests(bundle) == before
    found = file_digests(stages.folder / "raw")
    assert set(found) == {"transcripts.csv", "nucleus_boundaries.csv", "source.json"}
    assert found["transcripts.csv"] == before["transcripts.csv"]
    assert all(check.passed for check in summary.checks)


def test_single_files_win_over_the_bundle(stages, bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.csv.gz"
    other.write_bytes(b"x")
    stages.run("raw", raw.build, RawSettings(source="path", bundle=str(bundle), transcripts=str(other)))
    source = json.loads((stages.folder / "raw" / "source.json").read_text())
    assert source["files"] == {"transcripts": "transcripts.csv.gz", "nucleus_boundaries": "nucleus_boundaries.csv"}
    assert (stages.folder / "raw" / "transcripts.csv.gz").read_bytes() == b"x"


def test_parquet_is_taken_before_csv(bundle: Path, tmp_path: Path) -> None:
    (bundle / "transcripts.parquet").write_bytes(b"PAR1")
    found = raw.located(RawSettings(source="path", bundle=str(bundle)), cache=tmp_path)
    assert found["transcripts"].name == "transcripts.parquet"


def test_observing_sees_a_change_in_the_files(bundle: Path, tmp_path: Path) -> None:
    settings = RawSettings(source="path", bundle=str(bundle))
    before = raw.observe(settings, tmp_path).digest
    assert raw.observe(settings, tmp_path).digest == before
    with (bundle / "transcripts.csv").open("a") as file:
        file.write("\n")
    assert raw.observe(settings, tmp_path).digest != before


def test_observing_the_simulator_sees_its_settings(tmp_path: Path) -> None:
    digests = {raw.observe(RawSettings(seed=seed), tmp_path).digest for seed in (0, 0, 1)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"source": "path"}, r"neither raw.bundle nor raw.transcripts is set"),
        ({"source": "path", "bundle": "/nowhere"}, r"/nowhere: is not a folder, expected a Xenium output bundle"),
        ({"source": "path", "transcripts": "/nowhere.csv"}, r"/nowhere.csv: does not exist"),
        ({"source": "url"}, r"raw.transcripts_url is not set"),
        ({"source": "url", "transcripts_url": "https://example.org/t.csv"}, r"needs the file's sha256"),
    ],
)
def test_a_source_that_is_not_there_is_named(tmp_path: Path, fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        raw.observe(RawSettings(**fields), tmp_path)


def test_an_empty_bundle_and_an_unknown_suffix_are_named(stages, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: has no transcripts.parquet, .csv.gz or .csv \(found nothing\)"):
        raw.located(RawSettings(source="path", bundle=str(tmp_path / "empty")), cache=tmp_path)
    (tmp_path / "t.h5").touch()
    with pytest.raises(UserError, match=r"t.h5: has an unknown suffix, expected .parquet, .csv.gz, .csv"):
        stages.run("raw", raw.build, RawSettings(source="path", transcripts=str(tmp_path / "t.h5")))
