"""What a user can get wrong, from end to end: one sentence, exit code 2, nothing half done, raw files as they were."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core import __main__ as shell
from ml_core.artifacts import Artifact, Store, file_digests
from ml_core.families.segger.family import FAMILY
from tests.unit.families.segger.tiny import Tiny, as_arguments

SMALL = [*as_arguments("graph"), *as_arguments("tiles"), *as_arguments("splits"), *as_arguments("model")]


@pytest.fixture
def good(tiny: Tiny, tmp_path: Path) -> Path:
    """The tiny sample as a Xenium bundle, as it would lie on a user's disk."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("transcripts", "nucleus_boundaries"):
        shutil.copy(tiny.artifacts["raw"].path(f"{name}.parquet"), folder)
    return folder


def change(name: str, how: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def apply(bundle: Path) -> None:
        file = bundle / f"{name}.parquet"
        how(pd.read_parquet(file)).to_parquet(file, index=False)

    return apply


def with_value(table: pd.DataFrame, column: str, value: float) -> pd.DataFrame:
    table.loc[7, column] = value
    return table


def cut_short(name: str, size: int) -> Callable[[Path], None]:
    def apply(bundle: Path) -> None:
        file = bundle / f"{name}.parquet"
        file.write_bytes(file.read_bytes()[:size])

    return apply


def as_csv(text: str) -> Callable[[Path], None]:
    def apply(bundle: Path) -> None:
        (bundle / "transcripts.parquet").unlink()
        (bundle / "transcripts.csv").write_text(text)

    return apply


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing column": (
        change("transcripts", lambda t: t.drop(columns="x_location")),
        "which are those of no known platform",
    ),
    "missing column of the boundaries": (
        change("nucleus_boundaries", lambda t: t.drop(columns="vertex_x")),
        "nucleus_boundaries.parquet: has no column 'vertex_x'",
    ),
    "wrong type": (
        change("transcripts", lambda t: t.assign(x_location=t["x_location"].astype(str) + " um")),
        "column 'x_location' has type",
    ),
    "numbers with commas": (
        as_csv("feature_name,x_location,y_location\nA,\"1,5\",2\nB,\"2,5\",3\n"),
        "column 'x_location' has type string",
    ),
    "empty file": (cut_short("transcripts", 0), "transcripts.parquet: is"),
    "header without rows": (change("transcripts", lambda t: t[:0]), "has a header but no rows"),
    "truncated file": (cut_short("transcripts", 5000), "is not a whole Parquet file"),
    "truncated boundaries": (cut_short("nucleus_boundaries", 500), "boundaries.parquet: is not a whole Parquet file"),
    "boundary of two points": (
        change("nucleus_boundaries", lambda t: t.drop(index=range(1, (t["cell_id"] == t["cell_id"][0]).sum() - 2))),
        "has fewer than 3 different points",
    ),
    "no overlap": (
        change("nucleus_boundaries", lambda t: t.assign(vertex_x=t["vertex_x"] + 1e5)),
        "they do not overlap; give files of one sample in one unit",
    ),
    "NaN coordinate": (
        change("transcripts", lambda t: with_value(t, "y_location", np.nan)),
        "column 'y_location' has no number in data row 8",
    ),
    "infinite coordinate": (
        change("transcripts", lambda t: with_value(t, "x_location", np.inf)),
        "column 'x_location' has no number in data row 8",
    ),
    "repeated ids": (
        change("transcripts", lambda t: t.assign(transcript_id=np.arange(len(t), dtype=np.uint64) // 2)),
        "ids more than once",
    ),
    "controls only": (
        change("transcripts", lambda t: t.assign(feature_name="BLANK_0001")),
        "rows are filtered",
    ),
    "three transcripts": (change("transcripts", lambda t: t[:3]), "tiles: "),
    "not a table": (as_csv("\x00\x01\x02"), "no known platform"),
}  # fmt: skip


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def assert_nothing_half_done(data: Path) -> None:
    """Each folder below artifacts is whole; beside them lie links and locks only."""
    for folder in (data / "artifacts").glob("*/*") if (data / "artifacts").exists() else ():
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                assert not path.name.startswith("."), path
                assert Artifact(path).verify() == []
            elif path.is_symlink():
                assert (path / "manifest.json").is_file()
            else:
                assert path.suffix == ".lock"


@pytest.mark.parametrize(("damage", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_input_is_one_sentence_and_leaves_everything_as_it_was(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], said: str
) -> None:
    damage(good)
    before = snapshot(good)
    data = tmp_path / "data"
    arguments = ["--set", "raw.source=path", "--set", f"raw.bundle={good}", *SMALL]
    code = shell.main(["run", "segger", "--until", "splits", "--data", str(data), *arguments])
    error = capsys.readouterr().err
    assert (code, "Traceback" in error) == (2, False), error
    lines = error.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert said in lines[-1]
    assert sum(line.startswith("error") for line in lines) == 1
    assert snapshot(good) == before
    assert_nothing_half_done(data)
    assert Store(data).current("segger", "splits") is None


def test_after_the_input_is_mended_the_same_command_goes_through(good: Path, tmp_path: Path) -> None:
    whole = (good / "transcripts.parquet").read_bytes()
    command = ["run", "segger", "--until", "splits", "--data", str(tmp_path / "data")]
    command += ["--set", "raw.source=path", "--set", f"raw.bundle={good}", *SMALL]
    cut_short("transcripts", 5000)(good)
    assert shell.main(command) == 2
    (good / "transcripts.parquet").write_bytes(whole)
    assert shell.main(command) == 0
    assert_nothing_half_done(tmp_path / "data")


MISTAKES = [
    (["--set", "raw.cels=50"], "unknown field 'cels'; the fields are source, platform"),
    (["--set", "rwa.cells=50"], "unknown stage 'rwa'; the stages are raw, transcripts, graph"),
    (["--set", "raw.cells=many"], "field 'cells' is 'many'"),
    (["--set", "raw.cells=2"], "field 'cells' is 2: input should be greater than or equal to 4"),
    (["--set", "splits.train=0.9"], "splits: train + validation + test is 1.2, expected 1."),
    (["--set", "model.hard_share=0.9"], "model: hard_share + near_share is 1.1, expected at most 1."),
    (["--set", "model.test_view=0.6"], "model: test_view and validation_view must differ"),
    (["--set", "model.heads=3"], "model: hidden_channels 64 cannot be shared out to 3 heads."),
    (["--set", "model.monitor=auroc"], "model: monitor is 'auroc', expected val_loss or val_<metric>."),
    (["--set", "model.learning_rate=[1"], "the value is not valid YAML"),
    (["--until", "modle"], "unknown stage 'modle'"),
    (["--stage", "model"], "stage 'graph' has no artifact"),
    (["--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    (["--set", "raw.source=path"], "neither raw.bundle nor raw.transcripts is set"),
    (["--set", "raw.source=path", "--set", "raw.bundle=/nowhere"], "/nowhere: is not a folder"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(arguments) for arguments, _ in MISTAKES])
def test_a_mistake_in_the_command_is_one_sentence_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert shell.main(["run", "segger", "--data", str(tmp_path / "data"), *arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert said in error
    assert error.strip().splitlines()[-1].startswith("error: ")
    assert not list((tmp_path / "data").glob("artifacts/*/*/*/manifest.json"))


def test_ctrl_c_in_training_ends_with_130_one_sentence_and_a_checkpoint(
    tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path
) -> None:
    """The real command in a process of its own, on the data stages' artifacts."""
    shutil.copytree(tiny.store.data / "artifacts", tmp_path / "artifacts", symlinks=True)
    shutil.rmtree(tmp_path / "artifacts/segger/model")
    command = [sys.executable, "-m", "ml_core", "run", "segger", "--stage", "model", "--data", str(tmp_path)]
    command += as_arguments("model", max_epochs=200)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    work = tmp_path / "runs"
    while not list(work.rglob("epoch-0001-*")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    last = error.strip().splitlines()[-1]
    assert last.startswith("Training was stopped by SIGINT; ")
    assert last.endswith("start the same run again to go on from there.")
    assert Path(last.split("; ")[1].removesuffix(" is saved, start the same run again to go on from there.")).is_dir()
    assert_nothing_half_done(tmp_path)
    assert Store(tmp_path).current("segger", "model") is None


def test_the_same_command_again_runs_nothing_again(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "segger", "--until", "splits", "--data", str(tiny.store.data)]
    for stage in ("raw", "graph", "tiles", "splits"):
        command += as_arguments(stage)
    before = file_digests(tiny.store.data / "artifacts")
    assert shell.main(command) == 0
    assert capsys.readouterr().out.count(" cached ") == len(FAMILY.needed_for("splits"))
    assert file_digests(tiny.store.data / "artifacts") == before
