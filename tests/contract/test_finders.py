"""find-lr and find-batch-size on every stage that trains, of every family."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_core import __main__ as shell
from ml_core.families import find_families
from ml_core.stages import Family, Stage
from ml_core.training import find
from tests.contract.conftest import OBSERVED, SmallestRun

TRAINING = [(family, stage) for family in find_families().values() for stage in family.stages if stage.trains]


@pytest.mark.parametrize(("family", "stage"), TRAINING, ids=lambda part: part.name)
@pytest.mark.parametrize("command", [["find-lr", "--steps", "20"], ["find-batch-size"]], ids=lambda parts: parts[0])
def test_a_finder_leaves_a_table_a_figure_and_one_advice(
    smallest_run: Callable[[str], SmallestRun],
    family: Family,
    stage: Stage,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "SECONDS", 0.0)
    run = smallest_run(family.name)
    values = {**family.smallest.get(stage.name, {}), **OBSERVED}
    chosen = [f"{stage.name}.{field}={json.dumps(value)}" for field, value in values.items()]
    arguments = [part for each in chosen for part in ("--set", each)]
    data = ["--data", str(run.store.data), "--stage", stage.name]
    assert shell.main([command[0], family.name, *data, *command[1:], *arguments]) == 0
    png, csv, said = capsys.readouterr().out.splitlines()[:3]
    for path in (png, csv):
        assert Path(path).stat().st_size > 0
        assert Path(path).parent == run.store.data / "finders" / family.name
        assert Path(path).name.startswith(f"{stage.name}-")
    assert re.match(rf"advice: (--set {stage.name}\.|at no)", said)
