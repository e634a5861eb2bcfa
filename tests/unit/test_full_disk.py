from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ml_core.artifacts import Store
from ml_core.errors import UserError
from ml_core.full_disk import full_disk_in_one_sentence
from ml_core.running import run_stage
from ml_core.stages import Family
from tests.unit.conftest import WORK, CountSettings, forget

FULL = Path("/dev/full")  # every write to it meets a full disk
needs_dev_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@needs_dev_full
def test_a_full_disk_is_one_sentence_that_names_the_place(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=rf"^tiny count: the disk of {tmp_path} is full \([\d,]+ MB free\); free some"),
        full_disk_in_one_sentence(tmp_path, what="tiny count"),
    ):
        FULL.write_text("x")


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EDQUOT, "quota"), OSError("Can't write data (file write failed: errno = 28, error message = ...)")],
)
def test_a_quota_and_what_only_says_it_in_words_count_too(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(UserError, match="is full"), full_disk_in_one_sentence(tmp_path / "absent", what="x"):
        raise error


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), full_disk_in_one_sentence(tmp_path, what="x"):
        (tmp_path / "absent").read_text()


@needs_dev_full
def test_a_stage_that_meets_a_full_disk_says_so_leaves_nothing_and_succeeds_once_there_is_space(
    family: Family, store: Store, text: Path, work_module: Path
) -> None:
    settings = CountSettings(path=str(text))
    writing = '(run.directory / "count.txt").write_text(str(len(text)))'
    assert writing in WORK
    work_module.write_text(WORK.replace(writing, f'Path("{FULL}").write_text("x")'))
    forget()
    with pytest.raises(UserError, match=r"^tiny count: the disk of .* is full"):
        run_stage(family, family["count"], settings=settings, store=store)
    assert {path.suffix for path in store.stage_directory("tiny", "count").iterdir()} == {".lock"}
    work_module.write_text(WORK)
    forget()
    assert run_stage(family, family["count"], settings=settings, store=store).artifact.verify() == []
