from __future__ import annotations

from pathlib import Path

import pytest

from ml_core import __main__ as shell
from ml_core import families
from ml_core.artifacts import Store
from ml_core.stages import Family
from ml_core.training.interrupt import Interrupted


@pytest.fixture(autouse=True)
def _only_the_tiny_family(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (shell, families):
        monkeypatch.setattr(module, "find_families", lambda: {"tiny": family})


def run(store: Store, *arguments: str) -> int:
    return shell.main(["run", "tiny", "--data", str(store.data), *arguments])


def test_run_goes_through_all_stages_and_says_what_was_cached(
    store: Store, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "--set", f"count.path={text}") == 0
    assert "5 letters" in capsys.readouterr().out
    assert run(store, "--set", f"count.path={text}") == 0
    assert capsys.readouterr().out.count("cached") == 2


def test_config_files_have_dagsters_shape_and_set_lies_over_them(store: Store, text: Path, tmp_path: Path) -> None:
    config = tmp_path / "preset.yaml"
    config.write_text(f"ops:\n  tiny_count: {{config: {{path: {text}}}}}\n  tiny_double: {{config: {{factor: 3}}}}\n")
    assert run(store, "--config", str(config)) == 0
    assert store.current("tiny", "double").summary.numbers == {"double": 15}  # type: ignore[union-attr]
    assert run(store, "--config", str(config), "--set", "double.factor=4") == 0
    assert store.current("tiny", "double").summary.numbers == {"double": 20}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "tinny"], "unknown family 'tinny'; the families are tiny."),
        (["run", "tiny", "--until", "treble"], "unknown stage 'treble'; the stages are count, double."),
        (["run", "tiny", "--set", "treble.x=1"], "unknown stage 'treble'"),
        (["run", "tiny", "--set", "count.pth=1"], "unknown field 'pth'; the fields are path, workers."),
        (["run", "tiny", "--set", "factor"], "expected stage.field=value"),
        (["run", "tiny", "--set", "count.path=[a"], "--set count.path=[a: the value is not valid YAML"),
        (["run", "tiny"], "field 'path' has no value and no default"),
        (["run", "tiny", "--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["run", "tiny", "--set", "count.path=nowhere.txt"], "nowhere.txt: does not exist"),
        (["compare", "tiny"], "no report below"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], said: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.main([*arguments, "--data", str(store.data)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_a_failed_blocking_check_is_exit_code_1(store: Store, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text.write_text("")
    assert run(store, "--set", f"count.path={text}") == 1
    assert "FAILED not_empty: 0 letters. The text is empty. Write something." in capsys.readouterr().out
    assert store.current("tiny", "double") is None


@pytest.mark.parametrize("saved", [True, False])
def test_a_training_that_was_stopped_is_exit_code_130_and_one_sentence(
    store: Store,
    text: Path,
    saved: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = text.parent / "epoch-0001" if saved else None

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("SIGINT", checkpoint)

    monkeypatch.setattr(shell, "run_stage", stopped)
    assert run(store, "--set", f"count.path={text}") == 130
    error = capsys.readouterr().err
    assert error.startswith("Training was stopped by SIGINT; ")
    assert "start the same run again" in error
    assert ("epoch-0001 is saved" in error) == saved
    assert len(error.strip().splitlines()) == 1


def test_ctrl_c_anywhere_else_is_exit_code_130(
    store: Store, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shell, "run_stage", interrupted)
    assert run(store, "--set", f"count.path={text}") == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_compare_shows_only_the_settings_that_differ(
    store: Store, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for factor in (2, 3):
        run(store, "--set", f"count.path={text}", "--set", f"double.factor={factor}")
    capsys.readouterr()
    assert shell.main(["compare", "tiny", "--data", str(store.data)]) == 0
    table = capsys.readouterr().out
    assert "double.factor" in table
    assert "count.path" not in table


def test_validate_finds_what_dagster_would_silently_ignore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "preset.yaml"
    config.write_text("ops: {tiny_treble: {config: {factor: 3}}}\n")
    assert shell.main(["validate", str(config)]) == 2
    assert "unknown stage 'treble'" in capsys.readouterr().err
    config.write_text("ops: {tiny_double: {config: {factor: 3, force: true}}}\nexecution: {}\n")
    assert shell.main(["validate", str(config)]) == 0


def test_list_names_every_stage(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["list", "--data", str(store.data)]) == 0
    assert "count" in capsys.readouterr().out
