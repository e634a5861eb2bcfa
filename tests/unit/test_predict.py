"""A family's question from the shell: options are its settings' fields, and the artifacts asked belong together."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from ml_core import __main__ as shell
from ml_core import families
from ml_core import predict as predict_module
from ml_core.artifacts import Store
from ml_core.settings import Settings, setting
from ml_core.stages import Family, Prediction, Score

ANSWER = """

def answer(settings, artifacts):
    number = int(artifacts["double"].path("double.txt").read_text())
    letters = int(artifacts["count"].path("count.txt").read_text())
    rows = [{"word": settings.word or "-", "number": number * k, "letters": letters} for k in range(settings.top)]
    return Summary(headline=f"{len(rows)} rows", tables={"Rows": rows, "Empty": []})
"""


class QuestionSettings(Settings):
    word: str | None = setting(None, description="Any word, 100 % optional")
    top: int = setting(2, description="Rows", ge=1)


@pytest.fixture(autouse=True)
def asked(family: Family, work_module: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    work_module.write_text(work_module.read_text() + ANSWER)
    prediction = Prediction("double", QuestionSettings, "work:answer", "Doubles.")
    family = dataclasses.replace(family, predict=prediction)
    for module in (shell, families, predict_module):
        monkeypatch.setattr(module, "find_families", lambda: {"tiny": family, "mute": silent})
    silent = dataclasses.replace(family, name="mute", predict=None)
    return family


def run(store: Store, text: Path) -> None:
    assert shell.main(["run", "tiny", "--data", str(store.data), "--set", f"count.path={text}"]) == 0


def ask(store: Store, *options: str) -> int:
    return shell.main(["predict", "tiny", "--data", str(store.data), *options])


def test_the_answer_is_printed_and_written(
    store: Store, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(store, text)
    capsys.readouterr()
    assert ask(store, "--word", "DOID:1", "--top", "3", "--csv", str(tmp_path / "out.csv")) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "3 rows"
    assert out[2:] == [
        "Rows",
        "word    number  letters",
        "DOID:1       0        5",
        "DOID:1      10        5",
        "DOID:1      20        5",
        "",
        f"{tmp_path / 'out.csv'}: 3 rows",
    ]
    assert (tmp_path / "out.csv").read_text().splitlines()[:2] == ["word,number,letters", "DOID:1,0,5"]


def test_the_artifacts_are_those_that_the_answering_one_was_made_from(
    store: Store, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(store, text)
    text.write_text("longer text")
    command = ["run", "tiny", "--stage", "count", "--data", str(store.data), "--set", f"count.path={text}"]
    assert shell.main(command) == 0
    capsys.readouterr()
    assert ask(store) == 0
    assert "       10        5" in capsys.readouterr().out  # not the 11 letters that are current now


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "mute"], "mute: takes no questions from the shell; those that do: tiny."),
        (["predict", "tiny", "--top", "none"], "predict tiny: field 'top' is 'none'"),
        (["predict", "tiny"], "stage 'double' has no artifact below"),
    ],
)
def test_a_users_mistake_is_one_sentence(
    arguments: list[str], said: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.main([*arguments, *([] if arguments[1] == "mute" else ["--data", str(store.data)])]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_an_artifact_that_is_gone_is_named(store: Store, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(store, text)
    current = store.current("tiny", "count")
    assert current is not None
    fingerprint = current.fingerprint
    shutil.rmtree(current.directory.resolve())
    assert ask(store) == 2
    assert f"artifact {fingerprint}, from which the double that was asked was made, is gone" in capsys.readouterr().err


def test_the_help_shows_the_familys_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        shell.main(["predict", "tiny", "--help"])
    out = capsys.readouterr().out
    assert "Any word, 100 % optional" in out
    assert "Rows (2)" in out


def test_the_champion_answers_by_default_and_another_where_it_is_named(
    asked: Family, store: Store, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its report is not better, so the first run's model goes on answering, and a line says so."""
    scored = dataclasses.replace(asked, scores=(Score("double", higher_is_better=True),))
    for module in (shell, families, predict_module):
        monkeypatch.setattr(module, "find_families", lambda: {"tiny": scored})
    run(store, text)
    assert "tiny" in capsys.readouterr().out
    first = store.current("tiny", "double")
    assert first is not None
    command = ["run", "tiny", "--data", str(store.data), "--set", f"count.path={text}", "--set", "double.factor=7"]
    assert shell.main(command) == 0
    assert "is no champion" in capsys.readouterr().out
    for options, answer in (([], 10), (["--artifact", "current"], 35), (["--artifact", first.fingerprint], 10)):
        assert ask(store, *options) == 0
        said = capsys.readouterr()
        assert said.out.splitlines()[-1].split() == ["-", str(answer), "5"]
        assert ("not the newest" in said.err) == (options == [])
    assert ask(store, "--artifact", "nowhere") == 2
    assert "--artifact nowhere: expected champion, current or one of double's" in capsys.readouterr().err
