"""What is written down of a run that failed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ml_core import __main__ as shell
from ml_core import families, journal
from ml_core.artifacts import Store
from ml_core.failures import failures_file, newest_checkpoint, record_failure
from ml_core.stages import Family


def test_a_line_holds_settings_error_checkpoint_and_a_command_that_works(
    family: Family, store: Store, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text.rename(text.with_name("a name's end.txt"))
    ops = {
        "tiny_count": {"config": {"path": str(text), "force": True}},
        "tiny_double": {"config": {"factor": 3}},
        "other_count": {"config": {"path": "x"}},
    }
    checkpoint = store.work_directory("tiny", "double", "abc") / "checkpoints" / "epoch-0001"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{}")
    record_failure(store, run="r1", family=family, stage="double", error="planted", ops=ops)
    (row,) = journal.read(failures_file(store))
    assert row["settings"] == {"count": {"path": str(text)}, "double": {"factor": 3}}
    assert (row["run"], row["stage"], row["error"]) == ("r1", "double", "planted")
    assert row["checkpoint"] == str(checkpoint)

    for module in (shell, families):
        monkeypatch.setattr(module, "find_families", lambda: {"tiny": family})
    python, _, module_name, *arguments = shlex.split(row["go_on"])
    assert (python, module_name) == ("python", "ml_core")
    assert shell.main(arguments) == 0
    assert store.current("tiny", "double").summary.numbers == {"double": 15}  # type: ignore[union-attr]


def test_the_newest_whole_checkpoint_is_named_and_none_where_there_is_none(family: Family, store: Store) -> None:
    assert newest_checkpoint(store, family, "double") is None
    folder = store.work_directory("tiny", "double", "abc") / "checkpoints"
    for name in ("epoch-0001", "epoch-0002", ".epoch-0003"):
        (folder / name).mkdir(parents=True)
        (folder / name / "state.json").write_text("{}")
    assert newest_checkpoint(store, family, "double") == folder / "epoch-0002"
    assert newest_checkpoint(store, family, "count") is None
