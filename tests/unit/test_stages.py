from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.running import Outcome, run_stage
from ml_core.stages import Family, Stage
from tests.unit.conftest import WORK, CountSettings, DoubleSettings, forget


def count(family: Family, store: Store, text: Path, *, force: bool = False, workers: int = 1) -> Outcome:
    settings = CountSettings(path=str(text), workers=workers)
    return run_stage(family, family["count"], settings=settings, store=store, force=force)


def double(family: Family, store: Store, factor: int = 2) -> Outcome:
    return run_stage(family, family["double"], settings=DoubleSettings(factor=factor), store=store)


def test_a_stage_leaves_a_whole_artifact_and_points_current_to_it(family: Family, store: Store, text: Path) -> None:
    artifact = count(family, store, text).artifact
    assert artifact.path("count.txt").read_text() == "5"
    assert artifact.summary.numbers == {"letters": 5}
    assert artifact.verify() == []
    current = store.current("tiny", "count")
    assert current is not None
    assert current.directory == artifact.directory
    assert {
        "digest",
        "settings",
        "code_version",
        "device",
        "seconds",
        "libraries",
        "inputs",
    } <= artifact.manifest.keys()


def test_unchanged_work_is_not_redone_and_force_overrides(family: Family, store: Store, text: Path) -> None:
    first = count(family, store, text)
    assert not first.cached
    assert count(family, store, text, workers=9).cached
    again = count(family, store, text, force=True)
    assert not again.cached
    assert again.artifact.digest == first.artifact.digest


def test_changed_bytes_of_a_source_run_again_and_unchanged_results_stop_there(
    family: Family, store: Store, text: Path
) -> None:
    count(family, store, text)
    double(family, store)
    text.write_text("world")
    assert not count(family, store, text).cached
    assert double(family, store).cached  # five letters again: what stands downstream is up to date


def test_changed_settings_run_again(family: Family, store: Store, text: Path) -> None:
    count(family, store, text)
    assert not double(family, store, 2).cached
    assert not double(family, store, 3).cached
    assert double(family, store, 2).cached


def test_changed_code_runs_again_and_a_changed_comment_does_not(
    family: Family, store: Store, text: Path, work_module: Path
) -> None:
    count(family, store, text)
    work_module.write_text(WORK.replace('"""Stage functions', '# a comment\n"""Other words'))
    forget()
    assert count(family, store, text).cached
    work_module.write_text(WORK.replace("len(text) > 0", "len(text) > 1"))
    forget()
    assert not count(family, store, text).cached


def test_a_failing_stage_leaves_nothing(family: Family, store: Store, text: Path) -> None:
    before = count(family, store, text).artifact
    broken = Stage("count", CountSettings, "work:fail", "Fails.")
    with pytest.raises(RuntimeError, match="planted"):
        run_stage(family, broken, settings=CountSettings(path=str(text), workers=2), store=store, force=True)
    assert store.all("tiny", "count") == [Artifact(before.directory)]
    assert not list(store.data.rglob("half.txt"))


def test_a_failed_blocking_check_stops_downstream_with_meaning_and_remedy(
    family: Family, store: Store, text: Path
) -> None:
    text.write_text("")
    count(family, store, text)
    with pytest.raises(UserError, match=r"not_empty.*0 letters.*The text is empty. Write something."):
        double(family, store)


def test_a_failed_warning_check_does_not_stop_downstream(family: Family, store: Store, text: Path) -> None:
    stage = family["count"]
    warning = dataclasses.replace(stage, checks=(dataclasses.replace(stage.checks[0], blocking=False),))
    family = dataclasses.replace(family, stages=(warning, family["double"]))
    text.write_text("")
    count(family, store, text)
    assert double(family, store).artifact.summary.numbers == {"double": 0}


def test_a_missing_input_names_the_command_that_makes_it(family: Family, store: Store) -> None:
    with pytest.raises(UserError, match="python -m ml_core run tiny --until count"):
        double(family, store)


def test_a_missing_source_file_is_named(family: Family, store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.txt: does not exist"):
        count(family, store, tmp_path / "nowhere.txt")


def test_a_damaged_file_is_found(family: Family, store: Store, text: Path) -> None:
    artifact = count(family, store, text).artifact
    (artifact.directory / "count.txt").write_text("6")
    assert "count.txt: has changed" in artifact.verify()[0]


KILLED = """
    import os, sys
    from pathlib import Path
    from ml_core.artifacts import Store
    store, where = Store(Path(sys.argv[1])), sys.argv[2]
    original = Path.rename
    def rename(self, target):
        if where == "before" or (where == "between" and not str(target).endswith("replaced")):
            os._exit(9)
        return original(self, target)
    with store.writing("f", "s", "abc") as directory:
        (directory / "x.txt").write_text("new")
        Path.rename = rename
        store.commit(directory, {"family": "f", "stage": "s", "fingerprint": "abc", "created": "1"})
        if where == "after":
            os._exit(9)
"""


@pytest.mark.parametrize("where", ["before", "between", "after"])
def test_a_kill_while_an_artifact_is_replaced_leaves_the_old_or_the_new_one(store: Store, where: str) -> None:
    with store.writing("f", "s", "abc") as directory:
        (directory / "x.txt").write_text("old")
        store.commit(directory, {"family": "f", "stage": "s", "fingerprint": "abc", "created": "0"})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(store.data), where]
    assert subprocess.run(command, env=environment, check=False).returncode == 9
    with store.writing("f", "s", "abc"):  # the next start sweeps
        pass
    current = store.current("f", "s")
    assert current is not None
    assert current.path("x.txt").read_text() == ("new" if where == "after" else "old")
    assert current.verify() == []
    assert sorted(path.name for path in store.stage_directory("f", "s").iterdir()) == [".abc.lock", "abc", "current"]


def test_the_manifest_is_strict_json(family: Family, store: Store, text: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    artifact = count(family, store, text).artifact
    json.loads(artifact.path("manifest.json").read_text(), parse_constant=refuse)
