"""What a user can get wrong, from end to end: one sentence, exit code 2, nothing half done, the files as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml_core import __main__ as shell
from ml_core.artifacts import Artifact, Store, sha256
from tests.unit.families.sequence.planted import METADATA, newick, sequences, write_files

Files = dict[str, Path]
ASVS = sequences(5)
COUNTS = np.random.default_rng(0).integers(20, 60, (8, 5))
EIGHT = "id\tsubject\tmonth\n" + "".join(f"s{number}\tp{number}\t{number}\n" for number in range(1, 9))


def text(name: str, content: str) -> Callable[[Path], Files]:
    """Whole files, of which one is replaced."""

    def make(folder: Path) -> Files:
        files = write_files(folder, counts=COUNTS, metadata=EIGHT)
        files[name].write_text(content)
        return files

    return make


def cut(name: str) -> Callable[[Path], Files]:
    def make(folder: Path) -> Files:
        files = write_files(folder, counts=COUNTS, metadata=EIGHT)
        files[name].write_bytes(files[name].read_bytes()[: files[name].stat().st_size // 2])
        return files

    return make


def whole(folder: Path) -> Files:
    return write_files(folder, counts=COUNTS, metadata=EIGHT)


BROKEN: dict[str, tuple[Callable[[Path], Files], list[str], str]] = {
    "truncated table": (cut("table"), [], "table.biom: is damaged HDF5"),
    "truncated tree": (cut("tree"), [], "tree.nwk: cannot be read as Newick"),
    "truncated metadata": (text("metadata", EIGHT[:-4]), [], "row 9 has 2 cells, expected 3 as in the header"),
    "relative abundances": (
        text("table", "id\ts1\n" + "\n".join(f"{asv}\t0.2" for asv in ASVS)),
        [],
        f"sample 's1' has 0.2 of ASV '{ASVS[0]}', expected counts of reads",
    ),
    "ids not in the tree": (text("tree", newick(["a", "b"])), [], "none of its 5 ASVs is a tip of the tree"),
    "duplicate tips": (text("tree", newick([*ASVS, ASVS[2]])), [], "1 tips have the name of another one"),
    "tree without lengths": (text("tree", newick(ASVS).replace(":0.1", "")), [], "no branch has a length"),
    "no shared sample": (text("metadata", METADATA.replace("\ns", "\nz")), [], "has none of the table's 8 samples"),
    "ids without sequences": (
        lambda folder: write_files(folder, asv_ids=["a", "b", "c"], counts=COUNTS[:, :3], metadata=EIGHT),
        [],
        "none of its 3 ASVs has a sequence ('a' for one)",
    ),
    "no DNA": (
        lambda folder: write_files(folder, counts=COUNTS, metadata=EIGHT) | fasta(folder, "MKVLAA"),
        [],
        "its sequence has 'L' at position 4, expected DNA",
    ),
    "all samples too shallow": (whole, ["table.depth=5000"], "all 8 samples have fewer than table.depth=5000 reads"),
    "missing group column": (whole, ["splits.group_column=child"], "the metadata have no column 'child', they have"),
    "missing column to stratify by": (whole, ["splits.stratify_by=age"], "splits.stratify_by: the metadata have no"),
    "too few groups": (whole, ["splits.folds=8"], "has 8 groups among 8 samples, expected at least 9"),
    "a fold that does not exist": (whole, ["splits.fold=5"], "fold is 5, expected 0 to 4 with 5 folds"),
    "unknown setting": (whole, ["table.deep=3"], "unknown field 'deep'; the fields are depth, seed"),
}


def fasta(folder: Path, sequence: str) -> Files:
    """Another table whose ASVs are called asv1 and so on, the first of them with this sequence."""
    files = write_files(folder, asv_ids=["asv1", *ASVS[1:]], tips=["asv1", *ASVS[1:]], counts=COUNTS, metadata=EIGHT)
    (folder / "s.fasta").write_text(f">asv1\n{sequence}\n")
    return files | {"sequences": folder / "s.fasta"}


def run(files: Files, chosen: list[str], data: Path) -> int:
    named = ["raw.source=path", *(f"raw.{name}={path}" for name, path in files.items())]
    arguments = [part for each in [*named, "table.depth=50", *chosen] for part in ("--set", each)]
    return shell.main(["run", "sequence", "--until", "splits", "--data", str(data), *arguments])


@pytest.mark.parametrize(("make", "chosen", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_input_is_one_sentence_and_leaves_everything_as_it_was(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Files],
    chosen: list[str],
    said: str,
) -> None:
    files = make(tmp_path / "files")
    before, data = {path: sha256(path) for path in files.values()}, tmp_path / "data"
    code = run(files, chosen, data)
    error = capsys.readouterr().err
    assert (code, "Traceback" in error) == (2, False), error
    lines = error.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert said in lines[-1]
    assert {path: sha256(path) for path in files.values()} == before
    for folder in (data / "artifacts").glob("*/*"):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                assert not path.name.startswith("."), path
                assert Artifact(path).verify() == []
    assert Store(data).current("sequence", "splits") is None


def test_whole_files_go_through_every_data_stage_and_unchanged_ones_only_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = whole(tmp_path / "files")
    assert run(files, [], tmp_path / "data") == 0
    capsys.readouterr()
    assert run(files, [], tmp_path / "data") == 0
    assert capsys.readouterr().out.count(" cached ") == 3
