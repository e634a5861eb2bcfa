"""The command bench, with planted cases in place of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml_core.__main__ import main
from ml_core.bench import command
from ml_core.bench.case import Case
from ml_core.bench.finding import choose_cases, find_cases
from ml_core.errors import UserError

FINE = Case("planted-fine", "a case that runs", "tests.unit.bench.planted:fine")
BROKEN = Case("planted-broken", "a case that breaks", "tests.unit.bench.planted:broken")
OTHER = Case("other", "another", "tests.unit.bench.planted:fine")
MACHINE = {"processor": "planted", "python": "3", "threads": 1, "versions": {}}


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Planted cases, the machine's limits not measured."""
    run_aside = command.run_aside

    def aside(function: str, options: Any, *, quick: bool) -> Any:
        return dict(MACHINE) if function == command.LIMITS else run_aside(function, options, quick=quick)

    monkeypatch.setattr(command, "run_aside", aside)
    monkeypatch.setattr(command, "find_cases", lambda: {case.name: case for case in (FINE, BROKEN, OTHER)})
    monkeypatch.setenv("PYTHONPATH", str(root))


def rows_in(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"]
    return rows


def test_a_case_runs_in_a_process_of_its_own_and_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "planted-fine", "--json", str(tmp_path / "rows.json")]) == 0
    (row,) = rows_in(tmp_path / "rows.json")
    assert (row["case"], row["ratio"], row["reached"], row["reach_text"]) == ("planted-fine", 4.0, True, ">= 3x")
    assert "planted-fine" in capsys.readouterr().out


def test_a_case_that_breaks_becomes_a_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    assert main(["bench", "planted", "--json", str(tmp_path / "rows.json")]) == 1
    fine, broken = rows_in(tmp_path / "rows.json")
    assert fine["reached"]
    assert (broken["failed"], broken["reached"], broken["note"]) == (True, False, "RuntimeError: planted fault")


def test_an_unknown_name_gives_one_sentence_that_lists_the_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "absent"]) == 2
    error = capsys.readouterr().err.strip()
    assert error == ("error: unknown benchmark 'absent'; the benchmarks are planted-fine, planted-broken, other.")


def test_rows_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(case: Case, *, quick: bool) -> Any:
        if case is BROKEN:
            raise KeyboardInterrupt
        return measure(case, quick=quick)

    measure = command.measure
    monkeypatch.setattr(command, "measure", interrupted)
    assert main(["bench", "planted", "--json", str(tmp_path / "rows.json")]) == 130
    assert [row["case"] for row in rows_in(tmp_path / "rows.json")] == ["planted-fine"]


def test_a_named_case_takes_the_place_of_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    for name in ("other", "planted-fine", "other"):
        assert main(["bench", name, "--json", str(path)]) == 0
    assert [row["case"] for row in rows_in(path)] == ["other", "planted-fine"]


def test_quick_rows_are_not_judged(tmp_path: Path) -> None:
    assert main(["bench", "other", "--quick", "--json", str(tmp_path / "rows.json")]) == 0
    (row,) = rows_in(tmp_path / "rows.json")
    assert (row["reached"], row["rounds"]) == (None, 1)


def test_a_page_of_quick_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--quick", "--page", str(tmp_path / "page.md")]) == 2
    assert "leave --quick out" in capsys.readouterr().err


def test_a_file_that_holds_no_rows_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.json").write_text("[]")
    assert main(["bench", "other", "--json", str(tmp_path / "rows.json")]) == 2
    assert "rows.json does not hold rows" in capsys.readouterr().err


def test_every_declared_case_names_a_function_and_has_a_name_of_its_own() -> None:
    cases = find_cases()
    assert {"hgt-attention", "segger-graph", "tissuebert-step", "unifrac", "loop-overhead", "cli"} <= set(cases)
    for case in cases.values():
        module, function = case.run.split(":")
        source = Path(command.__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py").read_text()
        assert f"def {function}(request: Request)" in source, case.name


def test_a_beginning_names_several_cases() -> None:
    cases = {case.name: case for case in (FINE, BROKEN, OTHER)}
    assert choose_cases(["planted", "other"], cases) == [FINE, BROKEN, OTHER]
    assert choose_cases([], cases) == [FINE, BROKEN, OTHER]
    with pytest.raises(UserError, match="unknown benchmark 'plant'"):
        choose_cases(["plant"], cases)
