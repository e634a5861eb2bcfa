"""What a user can get wrong, by the shell: one sentence, exit code 2, nothing half done, the files as they were."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from ml_core import __main__ as shell
from ml_core.artifacts import Artifact, Store, sha256
from ml_core.families.tissuebert.raw_files import files_of
from ml_core.families.tissuebert.regions import FILE
from tests.unit.families.tissuebert.conftest import Finished

Spoil = Callable[[Path], None]
PAT = "blood_01.pat.gz"


def rows(change: Callable[[list[str]], list[str]]) -> Spoil:
    """Other rows in one sample's file."""

    def spoil(folder: Path) -> None:
        lines = gzip.decompress((folder / PAT).read_bytes()).decode().splitlines()
        (folder / PAT).write_bytes(gzip.compress("".join(f"{line}\n" for line in change(lines)).encode()))

    return spoil


def text(name: str, change: Callable[[str], str]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(change((folder / name).read_text()))

    return spoil


def cut(folder: Path) -> None:
    whole = (folder / PAT).read_bytes()
    (folder / PAT).write_bytes(whole[: len(whole) // 2])


def short_fasta(folder: Path) -> None:
    lines = (folder / "genome.fa").read_text().splitlines()
    (folder / "genome.fa").write_text("\n".join(lines[:20]) + "\n")


def swapped(bed: str) -> str:
    first, *others = bed.splitlines()
    chromosome, start, end, *rest = first.split("\t")
    return "\n".join(["\t".join([chromosome, end, start, *rest]), *others]) + "\n"


BROKEN: dict[str, tuple[Spoil, str]] = {
    "a CpG beyond the genome's last": (
        rows(lambda lines: [*lines, "chr2\t9999999\tCCCC\t1"]),
        "has CpG 10,000,002, but there are",
    ),
    "another build: a CpG on another chromosome": (
        rows(lambda lines: [line.replace("chr1\t", "chr2\t") for line in lines]),
        "expected files of one build",
    ),
    "chromosomes without chr": (
        rows(lambda lines: [line.removeprefix("chr") for line in lines]),
        "expected chromosome names of one kind (with or without chr)",
    ),
    "foreign characters in a pattern": (
        rows(lambda lines: ["chr1\t1\tCXC\t1", *lines]),
        "row 1, pattern 'CXC'",
    ),
    "truncated gzip": (cut, f"{PAT}: is truncated or damaged"),
    "BED end before its start": (text("panel.bed", swapped), "panel.bed: row 1"),
    "FASTA shorter than the panel": (short_fasta, "expected a FASTA as long as the panel"),
    "unknown column of the sheet": (
        text("samples.tsv", lambda sheet: sheet.replace("donor", "person")),
        "has no column 'donor'",
    ),
}


@pytest.fixture
def folder(finished: Finished, tmp_path: Path) -> Path:
    """The simulated files as a user's own."""
    raw, place = files_of(finished.made["raw"].directory), tmp_path / "mine"
    place.mkdir()
    for path in [*raw.samples.values(), *(raw.files[name] for name in ("samples", "panel", "fasta"))]:
        shutil.copyfile(path, place / path.name)
    return place


def run(folder: Path, data: Path) -> int:
    named = {"samples": "samples.tsv", "panel": "panel.bed", "fasta": "genome.fa"}
    given = ["raw.source=path", "raw.build=mine", *(f"raw.{name}={folder / file}" for name, file in named.items())]
    arguments = [part for each in given for part in ("--set", each)]
    return shell.main(["run", "tissuebert", "--until", "regions", "--data", str(data), *arguments])


@pytest.mark.parametrize(("spoil", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_input_is_one_sentence_and_leaves_everything_as_it_was(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil, said: str
) -> None:
    spoil(folder)
    before, data = {path: sha256(path) for path in folder.iterdir()}, tmp_path / "data"
    code = run(folder, data)
    error = capsys.readouterr().err
    assert (code, "Traceback" in error) == (2, False), error
    last = error.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert {path: sha256(path) for path in folder.iterdir()} == before
    for place in (data / "artifacts").glob("*/*"):
        for path in place.iterdir():
            if path.is_dir() and not path.is_symlink():
                assert not path.name.startswith("."), path
                assert Artifact(path).verify() == []
    assert Store(data).current("tissuebert", "regions") is None


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def of_another_version(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = "0"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(truncated, "truncated"), (of_another_version, "is of version 0, expected regions of version 1")],
)
def test_regions_that_cannot_be_read_are_one_sentence(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil, said: str
) -> None:
    shutil.copytree(finished.store.data, tmp_path / "data", symlinks=True)
    regions = Store(tmp_path / "data").current("tissuebert", "regions")
    assert regions is not None
    spoil(regions.path(FILE))
    sample = files_of(finished.made["raw"].directory).samples[PAT]
    code = shell.main(["predict", "tissuebert", "--data", str(tmp_path / "data"), "--sample", str(sample)])
    error = capsys.readouterr().err
    assert (code, "Traceback" in error) == (2, False), error
    last = error.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "regions.h5" in last
    assert said in last
