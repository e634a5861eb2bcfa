"""The drill's judge sees the harm that it is there to see, and the page shows what it saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_core import journal
from ml_core.artifacts import MANIFEST, Artifact, Store
from ml_core.promotion import consider, history_file
from ml_core.running import run_stage
from tests.drill.drill import plan
from tests.drill.faults import FAULTS
from tests.drill.judge import faults_of_store
from tests.drill.line.family import FAMILY
from tests.drill.page import BEGIN, END, write_table

MODEL = {"max_epochs": 1, "batch_size": 16, "tensorboard": False}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store, made = Store(tmp_path / "data"), dict[str, Artifact]()
    for stage in FAMILY.stages:
        settings = stage.settings.parse(MODEL if stage.name == "model" else {}, where=stage.name)
        made[stage.name] = run_stage(FAMILY, stage, settings=settings, store=store, inputs=made).artifact
    assert consider(FAMILY, made["report"], store)
    return store


def test_nothing_is_said_of_a_store_that_is_whole(store: Store) -> None:
    known: set[Path] = set()
    assert faults_of_store(store, known) == []
    assert len(known) == 3


def current(store: Store, stage: str) -> Path:
    artifact = store.current("line", stage)
    assert artifact is not None
    return artifact.directory


def change(store: Store) -> None:
    (current(store, "model") / "model.safetensors").write_bytes(b"")


def halve(store: Store) -> None:
    (current(store, "report") / MANIFEST).unlink()


def leave(store: Store) -> None:
    (store.stage_directory("line", "model") / ".0123.partial").mkdir()


def lose(store: Store) -> None:
    place = current(store, "points")
    place.rename(store.data / "elsewhere")


def promote_again(store: Store) -> None:
    path = history_file(FAMILY, store)
    journal.append(path, journal.read(path)[-1])


def point_elsewhere(store: Store) -> None:
    path = history_file(FAMILY, store)
    row: dict[str, Any] = {**json.loads(path.read_text()), "report": "other"}
    path.write_text(json.dumps(row) + "\n")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (change, "has changed since it was written"),
        (halve, "has no manifest"),
        (leave, "was left"),
        (lose, "is lost"),
        (promote_again, "was promoted twice"),
        (point_elsewhere, "its history says other"),
    ],
)
def test_each_harm_is_seen(harm: Callable[[Store], None], said: str, store: Store) -> None:
    known: set[Path] = set()
    assert faults_of_store(store, known) == []
    harm(store)
    assert any(said in sentence for sentence in faults_of_store(store, known))


def test_a_plan_holds_every_fault_and_its_seed_decides_the_order() -> None:
    assert sorted(plan(1, 20)) == sorted(name for name, (_, count) in FAULTS.items() for _ in range(count))
    assert plan(1, 20) == plan(1, 20) != plan(2, 20)


def test_the_page_gets_the_outcomes_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    row = {
        "number": 1,
        "fault": "f",
        "seen": "a|b",
        "next": "SUCCESS",
        "wrong": ["x", "y"],
        "good": False,
        "seconds": 1,
    }
    write_table(page, [row])
    text = page.read_text()
    assert "0 of 1 good" in text
    assert "| 1 | f | a/b | SUCCESS | x; y | 1 |" in text
    assert "old" not in text
    assert (text.startswith("before"), text.endswith("after\n")) == (True, True)
