"""In a real `dagster dev`: a dropped file is trained on and judged, the same bytes are not, a failure leaves a line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ml_core import journal
from ml_core.artifacts import Store
from ml_core.families import find_families
from ml_core.promotion import history_file
from ml_core.stages import Family
from tests.dagster.dropped import IN_PROCESS, arrive, order_that_waits
from tests.dagster.live import Dev, dagster_dev, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
TWO_LOOKS = 150  # s: a sensor looks every 30 s, and a busy machine is late


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A standing order of the tiny family whose file is not there yet."""
    (tmp_path / "data" / "retrain").mkdir(parents=True)
    (tmp_path / "data" / "inbox").mkdir()
    path = tmp_path / "data" / "inbox" / "text.txt"
    ops = {"tiny_raw": {"config": {"path": str(path)}}, "tiny_model": {"config": {"epochs": 1}}}
    (tmp_path / "data" / "retrain" / "tiny.yaml").write_text(yaml.safe_dump({"ops": ops, **IN_PROCESS}))
    return path


def drop(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_bytes(content)
    aside.replace(path)


def ended(dev: Dev, job: str, count: int) -> bool:
    runs = dev.runs(job)
    return len(runs) == count and dev.status(runs[0]) in ("SUCCESS", "FAILURE")


def test_a_dropped_file_runs_the_same_bytes_do_not_and_a_failure_is_written_down(letters: Path, tmp_path: Path) -> None:
    with dagster_dev(tmp_path, "tests.dagster.letters.definitions") as dev:
        for sensor in ("tiny_new_data", "failures"):
            dev.start_sensor(sensor)
        assert dev.runs("tiny") == []
        drop(letters, b"first")
        wait_for(lambda: ended(dev, "tiny", 1), what="a run of the dropped file", seconds=TWO_LOOKS)
        assert dev.status(dev.runs("tiny")[0]) == "SUCCESS"
        store = Store(tmp_path / "data")
        raw = store.current("tiny", "raw")
        assert raw is not None
        assert raw.path("text.txt").read_bytes() == b"first"

        drop(letters, b"first")  # the same bytes, another inode
        order = tmp_path / "data" / "retrain" / "tiny.yaml"
        config = yaml.safe_load(order.read_text())
        config["ops"]["tiny_table"] = {"config": {"blocking_passes": False}}
        wait_for(lambda: same_bytes_seen(dev, "tiny"), what="a look at the same bytes", seconds=TWO_LOOKS)
        assert len(dev.runs("tiny")) == 1

        order.write_text(yaml.safe_dump(config))
        drop(letters, b"second")
        wait_for(lambda: ended(dev, "tiny", 2), what="a run of the changed file", seconds=TWO_LOOKS)
        failures = tmp_path / "data" / "runs" / "failures.jsonl"
        wait_for(lambda: len(journal.read(failures)) == 1, what="the line of the failure", seconds=TWO_LOOKS)
        (row,) = journal.read(failures)
        assert (row["run"], row["stage"]) == (dev.runs("tiny")[0], "table")


TICKS = """query($selector: SensorSelector!) {sensorOrError(sensorSelector: $selector) {... on Sensor {sensorState {
    ticks(limit: 20) {skipReason}}}}}"""


def same_bytes_seen(dev: Dev, family: str) -> bool:
    asked = dev.ask(TICKS, selector={"sensorName": f"{family}_new_data", **dev.place()})
    return any("same bytes" in (tick["skipReason"] or "") for tick in asked["sensorOrError"]["sensorState"]["ticks"])


@pytest.mark.parametrize("family", find_families().values(), ids=lambda family: family.name)
def test_a_file_dropped_for_a_family_ends_in_a_report_and_a_decision_and_its_bytes_again_in_nothing(
    family: Family, tmp_path: Path
) -> None:
    """Its simulator's files, as if they came from an instrument."""
    files = order_that_waits(family, tmp_path)
    with dagster_dev(tmp_path, "dagster_definitions") as dev:
        dev.start_sensor(f"{family.name}_new_data")
        for path in files:
            arrive(path)
        wait_for(lambda: dev.runs(family.name), what="a run", seconds=TWO_LOOKS)
        wait_for(lambda: ended(dev, family.name, 1), what="the report", seconds=600)
        assert dev.status(dev.runs(family.name)[0]) == "SUCCESS", "\n".join(dev.messages(dev.runs(family.name)[0]))
        for path in files:
            drop(path, path.read_bytes())
        wait_for(lambda: same_bytes_seen(dev, family.name), what="a look at the same bytes", seconds=TWO_LOOKS)
        assert len(dev.runs(family.name)) == 1
    rows = journal.read(history_file(family, Store(tmp_path / "data")))
    assert [row["promoted"] for row in rows] == ([True] if family.scores else [])
