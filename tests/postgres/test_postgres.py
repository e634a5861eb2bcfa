"""deploy/postgres with a real server: four runs at once, all of them in the database, nobody else can knock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from ml_core.artifacts import Store
from ml_core.families import get_family
from tests.postgres.server import NAME, Server, postgres

RUNS = 4
FAMILY = get_family("segger")
IN_PROCESS = {"execution": {"config": {"in_process": {}}}, "loggers": {"console": {}}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Where Dagster reads deploy/postgres/dagster.yaml, word for word."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "dagster.yaml").write_text((root / "deploy" / "postgres" / "dagster.yaml").read_text())
    return folder


def start(number: int, *, home: Path, server: Server, root: Path) -> subprocess.Popen[str]:
    """The smallest Segger with a seed of its own; the data are everybody's, so that the first one's are waited for."""
    values = {stage: dict(fields) for stage, fields in FAMILY.smallest.items()}
    values.setdefault("model", {})["seed"] = number
    ops = {f"{FAMILY.name}_{stage}": {"config": fields} for stage, fields in values.items()}
    preset = home / f"{number}.yaml"
    preset.write_text(yaml.safe_dump({"ops": ops, **IN_PROCESS}))
    environment = {
        **os.environ,
        **server.variables(),
        "DAGSTER_HOME": str(home),
        "BIOASSETS_DATA": str(home / "data"),
        "PYTHONPATH": str(root / "src"),
        "OMP_NUM_THREADS": "1",
    }
    chosen = ["--select", f"group:{FAMILY.name}", "-m", "dagster_definitions", "--config", str(preset)]
    command = [sys.executable, "-m", "dagster", "asset", "materialize", *chosen]
    with (home / f"{number}.txt").open("w") as said:
        return subprocess.Popen(command, cwd=home, env=environment, stdout=said, stderr=said, text=True)


def listening(pid: int) -> set[str]:
    """Addresses at which a process and its children wait for others; nothing of those that end meanwhile."""
    found: set[str] = set()
    with suppress(psutil.NoSuchProcess):
        for each in [(first := psutil.Process(pid)), *first.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                places = each.net_connections("inet")
                found |= {place.laddr.ip for place in places if place.status == psutil.CONN_LISTEN}
    return found


def test_four_runs_at_once_succeed_and_stand_in_the_database(server: Server, home: Path, root: Path) -> None:
    import psycopg2

    runs = [start(number, home=home, server=server, root=root) for number in range(RUNS)]
    heard, most = set(), 0
    while any(run.poll() is None for run in runs):
        heard |= listening(server.pid)
        for run in runs:
            heard |= listening(run.pid)
        most = max(most, sum(run.poll() is None for run in runs))
        time.sleep(0.5)
    assert [run.returncode for run in runs] == [0] * RUNS, [
        (home / f"{n}.txt").read_text()[-2000:] for n in range(RUNS)
    ]
    assert heard == {"127.0.0.1"}
    assert most == RUNS

    place = {"host": "127.0.0.1", "port": server.port, "user": NAME, "password": server.password, "dbname": NAME}
    with psycopg2.connect(**place) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run_id, status, create_timestamp, update_timestamp FROM runs")
        rows = cursor.fetchall()
        assert [status for _, status, *_ in rows] == ["SUCCESS"] * RUNS
        assert max(row[2] for row in rows) < min(row[3] for row in rows), "they did not overlap"
        cursor.execute("SELECT run_id, asset_key FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'")
        made = {run: set() for run, *_ in rows}
        for run, key in cursor.fetchall():
            made[run].add(json.loads(key)[0])
    stages = {f"{FAMILY.name}_{stage.name}" for stage in FAMILY.stages}
    assert list(made.values()) == [stages] * RUNS
    assert list(home.glob("**/*.db")) == []

    store = Store(home / "data")
    assert len(store.all(FAMILY.name, "model")) == RUNS
    assert len(store.all(FAMILY.name, "raw")) == 1
    for stage in FAMILY.stages:
        assert [artifact.verify() for artifact in store.all(FAMILY.name, stage.name) if artifact.verify()] == []
