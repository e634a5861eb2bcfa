"""A new sample through the shell: proportions with intervals, or one sentence that says why not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core import __main__ as shell
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.new_sample import read_new, reads_of
from ml_core.families.tissuebert.raw_files import RawFiles, files_of
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.settings import RegionsSettings
from tests.unit.families.tissuebert.conftest import Finished


@pytest.fixture
def raw(finished: Finished) -> RawFiles:
    return files_of(finished.made["raw"].directory)


@pytest.fixture
def regions(finished: Finished) -> Regions:
    return open_regions(finished.made["regions"].path(FILE))


def predict(finished: Finished, *arguments: str | Path) -> int:
    return shell.main(["predict", "tissuebert", "--data", str(finished.store.data), *map(str, arguments)])


def test_a_sample_has_proportions_with_intervals_a_figure_and_what_regions_say(
    finished: Finished, raw: RawFiles, regions: Regions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("p.csv", "p.png", "c.tsv")}
    options = ("--csv", files["p.csv"], "--figure", files["p.png"], "--contributions", files["c.tsv"])
    assert predict(finished, "--sample", raw.samples["blood_01.pat.gz"], *options) == 0
    said = capsys.readouterr().out
    assert "not for clinical use" in said
    assert all(title in said for title in ("Proportions", "Looked at", "Regions that say most"))
    found = pd.read_csv(files["p.csv"])
    assert found["tissue"].tolist()[-1] == "unknown"
    assert found["proportion"].sum() == pytest.approx(1)
    assert "blood" in found["tissue"][0]
    assert ((found["low"] <= found["proportion"]) & (found["proportion"] <= found["high"])).all()
    contributions = pd.read_csv(files["c.tsv"], sep="\t")
    assert len(contributions) == len(regions.n_cpg)
    assert list(contributions.columns[4:]) == list(regions.tissues["name"])
    assert files["p.png"].stat().st_size > 1000


def test_a_sample_of_few_reads_is_not_reported(
    finished: Finished, raw: RawFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = gzip.decompress(raw.samples["blood_01.pat.gz"].read_bytes()).splitlines()
    path = tmp_path / "few.pat.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines[::20]) + b"\n"))
    assert predict(finished, "--sample", path, "--figure", tmp_path / "p.png") == 0
    said = capsys.readouterr().out
    assert "few.pat.gz: not reportable: " in said
    assert "Proportions" not in said
    assert not (tmp_path / "p.png").exists()


def test_counts_of_a_sample_say_nearly_what_its_reads_say(
    finished: Finished, raw: RawFiles, regions: Regions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = as_beta(raw.samples["blood_01.pat.gz"], tmp_path / "blood.beta", cpgs=regions.cpgs)
    assert predict(finished, "--sample", path, "--csv", tmp_path / "p.csv") == 0
    found = pd.read_csv(tmp_path / "p.csv")
    assert "blood" in found["tissue"][0]
    assert found["proportion"][0] > 0.6


def as_beta(pat: Path, path: Path, *, cpgs: int) -> Path:
    """The counts of a pat file."""
    counts = np.zeros((cpgs, 2), int)
    for line in gzip.decompress(pat.read_bytes()).decode().splitlines():
        _, first, pattern, times = line.split("\t")
        for place, state in enumerate(pattern, int(first) - 1):
            counts[place] += int(times) * np.array([state == "C", state in "CT"])
    path.write_bytes(np.minimum(counts, 255).astype(np.uint8).tobytes())
    return path


def test_bedmethyl_is_read_as_its_beta(raw: RawFiles, regions: Regions, tmp_path: Path) -> None:
    beta = as_beta(raw.samples["blood_01.pat.gz"], tmp_path / "blood.beta", cpgs=regions.cpgs)
    counts = np.frombuffer(beta.read_bytes(), np.uint8).reshape(-1, 2)
    lines = []
    for number, region in regions.regions.iterrows():
        places = regions.cpg_position[number][: regions.n_cpg[number]]
        for offset, place in enumerate(places):
            meth, cov = counts[region["start_cpg"] - 1 + offset].tolist()
            start, percent = int(region["start"]) + int(place), 100 * meth / max(cov, 1)
            fields = (region["chromosome"], start, start + 1, "m", cov, "+", start, start + 1, "0,0,0", cov, percent)
            lines.append("\t".join(map(str, fields)))
    bed = tmp_path / "blood.bedmethyl"
    bed.write_text("\n".join(lines) + "\n")
    one, other = (read_new(path, regions, build=None, settings=RegionsSettings()) for path in (beta, bed))
    np.testing.assert_array_equal(one.n_meth, other.n_meth)
    np.testing.assert_array_equal(one.states, other.states)
    assert reads_of(one, model=None).total == pytest.approx(reads_of(other, model=None).total)


def as_bam(pat: Path, path: Path, *, regions: Regions) -> Path:
    """The reads of a pat file with Bismark's calls, each from its first CpG to its last."""
    pysam = pytest.importorskip("pysam")
    place = {
        int(region["start_cpg"]) + offset: (region["chromosome"], int(region["start"]) + int(position))
        for number, region in regions.regions.iterrows()
        for offset, position in enumerate(regions.cpg_position[number][: regions.n_cpg[number]])
    }
    names = sorted({chromosome for chromosome, _ in place.values()})
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": name, "LN": 10**8} for name in names]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for number, line in enumerate(gzip.decompress(pat.read_bytes()).decode().splitlines()):
            chromosome, first, pattern, times = line.split("\t")
            at = [place[int(first) + offset][1] for offset in range(len(pattern))]
            signs = ["."] * (at[-1] - at[0] + 2)
            for each, state in zip(at, pattern, strict=True):
                signs[each - at[0]] = {"C": "Z", "T": "z", ".": "."}[state]
            for copy in range(int(times)):
                read = pysam.AlignedSegment(file.header)
                read.query_name, read.query_sequence = f"r{number}_{copy}", "N" * len(signs)
                read.reference_id, read.reference_start, read.mapping_quality = names.index(chromosome), at[0], 60
                read.cigarstring = f"{len(signs)}M"
                read.set_tag("XM", "".join(signs))
                read.set_tag("XG", "CT")
                file.write(read)
    return path


def test_a_bam_has_the_answer_of_its_pat(
    finished: Finished, raw: RawFiles, regions: Regions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pat = raw.samples["blood_01.pat.gz"]
    answers = []
    for path in (pat, as_bam(pat, tmp_path / "blood.bam", regions=regions)):
        assert predict(finished, "--sample", path, "--csv", tmp_path / "p.csv") == 0
        assert "not reportable" not in capsys.readouterr().out
        answers.append(pd.read_csv(tmp_path / "p.csv"))
    pd.testing.assert_frame_equal(*answers)


def test_reads_of_a_known_sample_are_those_of_its_rows(raw: RawFiles, regions: Regions) -> None:
    new = read_new(raw.samples["blood_01.pat.gz"], regions, build=regions.build, settings=RegionsSettings())
    rows = regions.rows_of(int(np.flatnonzero(regions.samples["name"] == "blood_01")[0]))
    np.testing.assert_array_equal(new.row_region, regions.row_region[rows])
    assert reads_of(new, model=None).total == regions.row_count[rows].sum()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sample", "absent.pat.gz"], "absent.pat.gz: does not exist"),
        (["--sample", "{blood}", "--build", "hg38"], "is of build hg38, but the model learnt simulated"),
        (["--sample", "{blood}", "--figure", "absent/p.png"], "--figure absent/p.png: its folder does not exist"),
        (["--sample", "{blood}", "--draws", "3"], "draws"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    finished: Finished, raw: RawFiles, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code = predict(finished, *(each.format(blood=raw.samples["blood_01.pat.gz"]) for each in arguments))
    error = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert error[-1].startswith("error: ")
    assert said in error[-1]


def test_a_model_that_is_not_fitted_is_one_sentence(
    raw: RawFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = shell.main(
        ["predict", "tissuebert", "--data", str(tmp_path), "--sample", str(raw.samples["blood_01.pat.gz"])]
    )
    assert code == 2
    assert "stage 'mixtures' has no artifact" in capsys.readouterr().err.strip().splitlines()[-1]
