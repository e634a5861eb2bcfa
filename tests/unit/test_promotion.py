"""A model becomes champion when its report is better on the same test set by more than its interval, and never else."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from ml_core import __main__ as shell
from ml_core import families, journal
from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.promotion import champion_of, consider, history_file, promote_by_hand
from ml_core.settings import Settings, setting
from ml_core.stages import Check, Family, Score, Stage


class Empty(Settings):
    pass


class ReportSettings(Settings):
    draws: int = setting(9, description="Draws")


CHECK = Check("verdict", "It has collapsed.", "Train longer.")
FAMILY = Family(
    name="toy",
    title="Toy",
    description="A toy.",
    package="toy",
    stages=(
        Stage("splits", Empty, "w:f", "Splits."),
        Stage("model", Empty, "w:f", "Model.", inputs=("splits",), training="w:f"),
        Stage("embeddings", Empty, "w:f", "What the model made.", inputs=("model",)),
        Stage("report", ReportSettings, "w:f", "Report.", inputs=("splits", "embeddings"), checks=(CHECK,)),
    ),
    scores=(Score("error", higher_is_better=False), Score("auc", higher_is_better=True)),
)


class Reports:
    """Makes reports; `model` is the content of what was trained, `test` that of the test set."""

    def __init__(self, store: Store) -> None:
        self.store, self.made = store, 0

    def make(self, *, test: str = "same", draws: int = 9, passes: bool = True, **numbers: float | None) -> Artifact:
        self.made += 1
        name = f"{self.made:04d}"
        with self.store.writing("toy", "report", name) as directory:
            (directory / "report.html").write_text(name)
            manifest: dict[str, Any] = {
                "family": "toy",
                "stage": "report",
                "fingerprint": name,
                "created": f"2026-01-01T00:00:{self.made:02d}",
                "settings": {"draws": draws, "a_field_of_old": 1},
                "inputs": {"splits": test, "embeddings": name},
                "input_fingerprints": {},
                "summary": {
                    "headline": "",
                    "numbers": numbers,
                    "tables": {},
                    "figures": {},
                    "checks": [{"name": "verdict", "passed": passes, "message": "seen."}],
                },
            }
            return self.store.commit(directory, manifest)

    def consider(self, report: Artifact) -> bool:
        decision = consider(FAMILY, report, self.store)
        assert decision is not None
        assert decision.reason.count(". ") <= 1
        return decision.promoted

    @property
    def champion(self) -> str | None:
        found = champion_of(FAMILY, self.store)
        return found.fingerprint if found else None

    def history(self) -> list[dict[str, Any]]:
        return journal.read(history_file(FAMILY, self.store))


@pytest.fixture
def reports(store: Store) -> Reports:
    return Reports(store)


def error(value: float, half: float = 1.0) -> dict[str, float]:
    return {"error": value, "error_low": value - half, "error_high": value + half}


def auc(value: float, half: float = 0.1) -> dict[str, float]:
    return {"auc": value, "auc_low": value - half, "auc_high": value + half}


def test_the_first_report_becomes_champion(reports: Reports) -> None:
    first = reports.make(**error(10))
    assert reports.champion is None
    assert reports.consider(first)
    assert reports.champion == first.fingerprint


@pytest.mark.parametrize(
    ("before", "after", "promoted"),
    [
        (error(10), error(8.9), True),
        (error(10), error(9.0), False),  # the interval ends where the champion is
        (error(10), error(9.1), False),
        (error(10), error(8.9, half=2), False),
        (error(10), error(12), False),
        (auc(0.7), auc(0.81), True),
        (auc(0.7), auc(0.79), False),
        (auc(0.7), auc(0.5), False),
        ({**error(10), **auc(0.7)}, {**error(8), **auc(0.1)}, True),  # the first score decides
        ({**error(10), **auc(0.7)}, {"error": None, **auc(0.9)}, True),  # ... that both have
        (error(10), auc(0.9), False),
        (error(10), {"error": 1.0}, False),  # no interval to judge by
        (error(10), {"error": 1.0, "error_low": None, "error_high": None}, False),
        (error(10), {}, False),
    ],
)
def test_only_what_is_better_by_more_than_its_interval_is_promoted(
    reports: Reports, before: dict[str, float], after: dict[str, float], promoted: bool
) -> None:
    first, second = reports.make(**before), reports.make(**after)
    reports.consider(first)
    assert reports.consider(second) == promoted
    assert reports.champion == (second if promoted else first).fingerprint


@pytest.mark.parametrize("changed", [{"test": "another"}, {"draws": 10}])
def test_another_test_set_or_another_way_to_judge_promotes_nothing(reports: Reports, changed: dict[str, Any]) -> None:
    first, second = reports.make(**error(10)), reports.make(**error(1), **changed)
    reports.consider(first)
    assert not reports.consider(second)
    assert f"champion toy --promote {second.fingerprint}" in reports.history()[-1]["reason"]
    assert reports.champion == first.fingerprint


def test_what_training_made_does_not_count_as_test_set(reports: Reports) -> None:
    """`embeddings` differ from report to report: they are of the model that is judged."""
    reports.consider(reports.make(**error(10)))
    assert reports.consider(reports.make(**error(1)))


def test_a_report_with_no_input_but_trained_ones_cannot_be_compared(store: Store, reports: Reports) -> None:
    blind = dataclasses.replace(FAMILY["report"], inputs=("embeddings",))
    family = dataclasses.replace(FAMILY, stages=(*FAMILY.stages[:1], FAMILY["model"], FAMILY["embeddings"], blind))
    first, second = reports.make(**error(10)), reports.make(**error(1))
    for report in (first, second):
        manifest = report.directory / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"splits"', '"model"'))
    assert consider(family, Artifact(first.directory), store).promoted  # type: ignore[union-attr]
    assert not consider(family, Artifact(second.directory), store).promoted  # type: ignore[union-attr]


def test_a_report_that_failed_a_blocking_check_is_no_champion(reports: Reports) -> None:
    assert not reports.consider(reports.make(passes=False, **error(1)))
    assert reports.champion is None


def test_the_same_report_again_changes_nothing_and_is_written_down_once(reports: Reports) -> None:
    first, second = reports.make(**error(10)), reports.make(**error(11))
    for _ in range(3):
        consider(FAMILY, first, reports.store)
        assert not reports.consider(second)
    assert [row["report"] for row in reports.history()] == [first.fingerprint, second.fingerprint]


def test_by_hand_any_report_is_promoted_and_the_history_says_so(reports: Reports) -> None:
    first, second = reports.make(**error(10)), reports.make(test="another", **error(11))
    reports.consider(first)
    promote_by_hand(FAMILY, second.fingerprint, reports.store)
    assert reports.champion == second.fingerprint
    assert [(row["by"], row["against"]) for row in reports.history()] == [("report", None), ("hand", first.fingerprint)]
    for unknown in ("nowhere", "000"):
        with pytest.raises(UserError, match=f"'{unknown}': .*; the reports are 0001, 0002"):
            promote_by_hand(FAMILY, unknown, reports.store)


def test_runs_that_end_at_once_promote_the_best_and_each_promotion_beats_the_one_before(reports: Reports) -> None:
    made = [reports.make(**error(value)) for value in (10, 4, 8, 2, 6)]
    barrier = threading.Barrier(len(made))

    def end(report: Artifact) -> None:
        barrier.wait()
        consider(FAMILY, report, reports.store)

    threads = [threading.Thread(target=end, args=[report]) for report in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports.champion == made[3].fingerprint
    promoted = [row for row in reports.history() if row["promoted"]]
    assert [row["against"] for row in promoted] == [None, *(row["report"] for row in promoted[:-1])]
    assert len({row["report"] for row in reports.history()}) == len(reports.history()) == len(made)


KILLED = """
    import os, sys
    from pathlib import Path
    from ml_core.artifacts import Store
    from ml_core.promotion import consider
    from tests.unit.test_promotion import FAMILY
    point = Store.point
    Store.point = lambda *where: os._exit(9) if where[-1] == "0002" else point(*where)
    store = Store(Path(sys.argv[1]))
    consider(FAMILY, store.find("toy", "report", "0002"), store)
"""


def test_a_promotion_that_was_killed_halfway_is_finished_and_not_done_twice(reports: Reports, root: Path) -> None:
    first, second = reports.make(**error(10)), reports.make(**error(1))
    reports.consider(first)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(reports.store.data)]
    assert subprocess.run(command, env=environment, check=False).returncode == 9
    assert reports.champion == first.fingerprint  # written down, not carried out
    third = reports.make(**error(9))
    assert not reports.consider(third)
    assert reports.champion == second.fingerprint
    assert [row["report"] for row in reports.history() if row["promoted"]] == [first.fingerprint, second.fingerprint]


def test_a_family_without_a_score_has_no_champion(reports: Reports) -> None:
    mute = dataclasses.replace(FAMILY, scores=())
    assert consider(mute, reports.make(**error(1)), reports.store) is None
    assert reports.history() == []


def test_the_command_shows_the_champion_and_why_the_last_one_is_not(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(families, "find_families", lambda: {"toy": FAMILY})
    command = ["champion", "toy", "--data", str(reports.store.data)]
    assert shell.main(command) == 2
    assert "no report was considered" in capsys.readouterr().err
    for value in (10, 9.5):
        reports.consider(reports.make(**error(value)))
    assert shell.main(command) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("toy: 0001 of 2026-01-01T00:00, error 10 (9 to 11)\n")
    assert "toy 0002 is no champion, 0001 stays: error 9.5 (95 % interval 8.5 to 10.5) is not better than 10" in shown
    assert "0001 is champion" not in shown
    assert shell.main([*command, "--history"]) == 0
    assert "toy 0001 is champion: there was none before." in capsys.readouterr().out
    assert shell.main([*command, "--promote", "0002"]) == 0
    assert reports.champion == "0002"
