"""The commands find-lr and find-batch-size on the smallest run of segger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ml_core import __main__ as shell
from ml_core.artifacts import file_digests
from ml_core.families import get_family
from ml_core.running import prepare_training
from ml_core.stages import Family
from ml_core.training import find
from tests.unit.families.segger.tiny import Tiny, as_arguments, tiny_settings


@pytest.mark.parametrize(
    ("command", "name", "advice"),
    [
        (["find-lr", "--steps", "24"], "model-learning-rate", r"advice: (--set model.learning_rate=\S+ \(where|at no)"),
        (["find-batch-size"], "model-batch-size", r"advice: --set model.batch_size=[24] is the fastest .*; \d is the"),
    ],
    ids=["find-lr", "find-batch-size"],
)
def test_a_finder_leaves_a_table_a_figure_and_one_advice_and_the_store_as_it_was(
    tiny: Tiny,
    command: list[str],
    name: str,
    advice: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "SECONDS", 0.0)
    data = tiny.store.data
    places = [data / "artifacts", data / "runs"]
    before = [file_digests(place) for place in places]
    assert shell.main([command[0], "segger", "--data", str(data), *command[1:], *as_arguments("model")]) == 0
    png, csv, said = capsys.readouterr().out.splitlines()[:3]
    folder = data / "finders" / "segger"
    assert (Path(png), Path(csv)) == (folder / f"{name}.png", folder / f"{name}.csv")
    assert Path(png).is_file()
    assert Path(csv).is_file()
    assert re.match(advice, said)
    assert [file_digests(place) for place in places] == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stage", "graph"], "segger: stage 'graph' trains no model; those that do: model."),
        (["--set", "model.artifact=somewhere"], "model.artifact names a finished model, so that nothing is trained"),
        (["--from", "1", "--to", "0.1"], "The learning rate cannot rise from 1 to 0.1"),
        (["--set", "model.learning_rat=1"], "unknown field 'learning_rat'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    tiny: Tiny,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shell.main(["find-lr", "segger", "--data", str(tiny.store.data), *arguments]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_without_the_stages_upstream_it_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["find-lr", "segger", "--data", str(tmp_path)]) == 2
    assert "run it first: python -m ml_core run segger --until graph" in capsys.readouterr().err


def test_a_family_that_trains_nothing_has_nothing_to_find(
    family: Family, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ml_core.families.find_families", lambda: {"tiny": family})
    assert shell.main(["find-batch-size", "tiny"]) == 2
    assert "tiny: no stage trains a model" in capsys.readouterr().err


def test_a_reference_batch_size_is_taken_out_of_the_advice(
    tiny: Tiny,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """learning_rate is multiplied by window / reference in training, so that what was found is divided by it."""
    rates = find.np.logspace(-4, -1, 40)
    falls = -find.np.arctan(rates * 100)
    monkeypatch.setattr(find, "range_test", lambda *_, **__: find.RangeTest(rates, falls, falls, "done"))
    said = []
    for reference in ("null", "8"):
        arguments: list[Any] = [*as_arguments("model"), "--set", f"model.reference_batch_size={reference}"]
        assert shell.main(["find-lr", "segger", "--data", str(tiny.store.data), *arguments]) == 0
        said.append(float(re.findall(r"learning_rate=(\S+)", capsys.readouterr().out)[0]))
    assert said[1] == pytest.approx(said[0] * 8 / 2, rel=0.05)


def test_what_a_stage_would_train_is_what_it_trains(tiny: Tiny, tmp_path: Path) -> None:
    family = get_family("segger")
    training = prepare_training(
        family, family["model"], settings=tiny_settings("model"), store=tiny.store, directory=tmp_path
    )
    assert training.fingerprint == {name: tiny.artifacts[name].digest for name in family["model"].inputs}
    assert training.validation is not None
    assert not list(tmp_path.iterdir())
