"""The door in real processes: `dagster dev`, its run workers, and shells beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from ml_core.families import find_families
from tests.dagster.live import ROOT, Dev, dagster_dev, environment, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
MODULE = "tests.dagster.letters.definitions"
IN_PROCESS = {"execution": {"config": {"in_process": {}}}}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "data").mkdir()
    (folder / "data" / "text.txt").write_text("hello")
    with dagster_dev(folder, MODULE, poll_interval_seconds=1, free_slots_after_run_end_seconds=1) as dev:
        yield dev


def config(dev: Dev, **model: Any) -> dict[str, Any]:
    raw = {"config": {"path": str(dev.folder / "data" / "text.txt")}}
    return {"ops": {"tiny_raw": raw, "tiny_model": {"config": model}}}


def workers(dev: Dev) -> list[psutil.Process]:
    """Processes that run this test's assets."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or [])
        if process.info["cwd"] == str(dev.folder) and "multiprocessing.spawn" in line:
            found.append(process)
    return found


def shell(folder: Path, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """`dagster ...`, killed after `seconds`."""
    command = [sys.executable, "-m", "dagster", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=seconds
    )


def test_nothing_listens_where_another_machine_could_knock(dev: Dev) -> None:
    """Webserver, daemon and code server, while a run goes on."""
    run = dev.launch("tiny", config(dev, epochs=402, seconds_per_epoch=0.5))
    wait_for(lambda: dev.epochs(run, "tiny_model") >= 1, what="an epoch", seconds=90)
    listening = {
        (place.laddr.ip, place.laddr.port)
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] == str(dev.folder)
        for place in process.net_connections(kind="inet")
        if place.status == psutil.CONN_LISTEN
    }
    dev.terminate(run)
    wait_for(lambda: dev.status(run) not in ("STARTED", "CANCELING"), what="the end")
    shutil.rmtree(dev.folder / "data" / "runs" / "tiny")  # the next tests look for the checkpoint of theirs
    assert int(dev.url.rsplit(":", 1)[1]) in {port for _, port in listening}
    assert {ip for ip, _ in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("executor", [IN_PROCESS, {}], ids=["in_process", "a_process_per_stage"])
def test_a_run_cancelled_in_the_ui_is_canceled_and_the_next_goes_on(dev: Dev, executor: dict[str, Any]) -> None:
    settings = config(dev, epochs=60 if executor else 61, seconds_per_epoch=0.5)
    run = dev.launch("tiny", {**settings, **executor})
    wait_for(lambda: dev.epochs(run, "tiny_model") >= 2, what="two epochs", seconds=90)
    dev.terminate(run)
    wait_for(lambda: dev.status(run) not in ("STARTED", "CANCELING"), what="the end")
    assert dev.status(run) == "CANCELED"
    (checkpoint,) = (dev.folder / "data" / "runs" / "tiny" / "model").glob("*/checkpoint")
    seen = int(checkpoint.read_text())
    assert seen >= 2

    settings["ops"]["tiny_model"]["config"]["seconds_per_epoch"] = 0.0
    again = dev.launch("tiny", {**settings, **executor})
    wait_for(lambda: dev.status(again) == "SUCCESS", what="the next run", seconds=90)
    assert dev.epochs(again, "tiny_model") == settings["ops"]["tiny_model"]["config"]["epochs"] - seen


def test_a_killed_run_worker_leaves_no_step_behind_and_no_place_in_the_pool(dev: Dev) -> None:
    run = dev.launch("tiny", config(dev, epochs=400, seconds_per_epoch=0.5))
    wait_for(lambda: dev.epochs(run, "tiny_model") >= 1, what="an epoch", seconds=90)
    processes = workers(dev)
    step = next(process for process in processes if process.parent() in processes)
    os.kill(step.parent().pid, signal.SIGKILL)
    wait_for(lambda: not step.is_running() or step.status() == psutil.STATUS_ZOMBIE, what="the step's end")
    wait_for(lambda: dev.status(run) == "FAILURE", what="the run's end")
    (checkpoint,) = (dev.folder / "data" / "runs" / "tiny" / "model").glob("*/checkpoint")
    assert int(checkpoint.read_text()) >= 1

    after = dev.launch("tiny", {**config(dev, epochs=2), **IN_PROCESS})
    wait_for(lambda: dev.status(after) == "SUCCESS", what="another training")


def test_a_shell_run_stands_in_the_ui_with_no_variable_set(dev: Dev) -> None:
    preset = dev.folder / "shell.yaml"
    preset.write_text(yaml.safe_dump({**config(dev, epochs=3), **IN_PROCESS, "loggers": {"console": {}}}))
    arguments = ["asset", "materialize", "--select", "group:tiny", "-m", MODULE, "--config", preset.name]
    done = shell(dev.folder, *arguments)
    assert done.returncode == 0, done.stderr
    query = '{assetOrError(assetKey: {path: ["tiny_report"]}) {... on Asset {assetMaterializations(limit: 1) {runId}}}}'
    (newest,) = dev.ask(query)["assetOrError"]["assetMaterializations"]
    assert dev.status(newest["runId"]) == "SUCCESS"

    again = shell(dev.folder, *arguments)
    assert again.stderr.count("is taken as it is") == 4


def test_a_shell_run_killed_while_it_trains_does_not_stop_the_next_and_ctrl_c_ends_that(tmp_path: Path) -> None:
    dev = Dev(tmp_path, 0)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text.txt").write_text("hello")
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    preset = {**config(dev, epochs=90, seconds_per_epoch=0.5), **IN_PROCESS, "loggers": {"console": {}}}
    (tmp_path / "shell.yaml").write_text(yaml.safe_dump(preset))
    arguments = ["asset", "materialize", "--select", "group:tiny", "-m", MODULE, "--config", "shell.yaml"]
    command = [sys.executable, "-m", "dagster", *arguments]
    checkpoints = tmp_path / "data" / "runs" / "tiny" / "model"

    def seen() -> int:
        return max((int(path.read_text() or 0) for path in checkpoints.glob("*/checkpoint")), default=0)

    for number in (signal.SIGKILL, signal.SIGINT):
        goal = seen() + 1
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
        wait_for(lambda goal=goal: seen() > goal, what=f"two epochs before {number.name}")
        process.send_signal(number)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "start the same run again to go on from there" in error


def test_what_the_user_must_mend_is_one_line_in_the_shell(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    nowhere = str(tmp_path / "data" / "nowhere")
    preset = {"ops": {"tiny_raw": {"config": {"path": nowhere}}}, **IN_PROCESS, "loggers": {"console": {}}}
    (tmp_path / "shell.yaml").write_text(yaml.safe_dump(preset))
    done = shell(tmp_path, "asset", "materialize", "--select", "group:tiny", "-m", MODULE, "--config", "shell.yaml")
    assert done.returncode == 1
    assert f"tiny_raw: ERROR {nowhere}: does not exist; check the path in your settings." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Stack Trace" not in done.stderr


@pytest.mark.timeout(1800)
def test_all_families_run_through_every_stage_by_the_quick_preset(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    preset = str(ROOT / "configs" / "quick.yaml")
    arguments = ["asset", "materialize", "--select", "*", "-m", "dagster_definitions", "-c", preset]
    done = shell(tmp_path, *arguments, seconds=1200)
    assert done.returncode == 0, done.stderr
    artifacts = tmp_path / "data" / "artifacts"
    for family in find_families().values():
        assert (artifacts / family.name / "report" / "current" / "report.html").is_file()
    board = json.loads((tmp_path / "data" / "leaderboard" / "metrics.json").read_text())
    assert {name.partition(".")[0] for name in board} == set(find_families())
    stages = sum(len(family.stages) for family in find_families().values())
    assert shell(tmp_path, *arguments, seconds=600).stderr.count("is taken as it is") == stages


def test_training_in_two_processes_is_seen_live_cancelled_and_gone_on_with(tmp_path: Path) -> None:
    preset = yaml.safe_load((ROOT / "configs" / "quick.yaml").read_text())
    settings = {name: each for name, each in preset["ops"].items() if name.startswith("segger_")}
    settings["segger_raw"]["config"] |= {"cells": 150}
    settings["segger_model"]["config"] = {"nproc": 2, "max_epochs": 400, "patience": None, "tensorboard": False}
    with dagster_dev(tmp_path, "dagster_definitions", poll_interval_seconds=1) as dev:
        run = dev.launch("segger", {"ops": settings})
        wait_for(lambda: dev.epochs(run, "segger_model") >= 1, what="an epoch", seconds=180)
        first = dev.epochs(run, "segger_model")
        wait_for(lambda: dev.epochs(run, "segger_model") > first, what="another epoch while it trains")
        assert dev.status(run) == "STARTED"
        assert len(ranks(tmp_path)) == 2
        dev.terminate(run)
        wait_for(lambda: dev.status(run) not in ("STARTED", "CANCELING"), what="the end")
        assert dev.status(run) == "CANCELED"
        assert all_below(tmp_path) == []
        (work,) = (tmp_path / "data" / "runs" / "segger" / "model").iterdir()
        assert list(work.glob("checkpoints/epoch-*"))
        assert list(work.glob("processes-*")) == []

        again = dev.launch("segger", {"ops": settings, **IN_PROCESS})
        wait_for(lambda: dev.epochs(again, "segger_model") >= 1, what="the next run", seconds=180)
        assert f"going on from {work}" in "\n".join(dev.messages(again))
        dev.terminate(again)
        wait_for(lambda: dev.status(again) not in ("STARTED", "CANCELING"), what="the end")
        assert dev.status(again) == "CANCELED"
        assert all_below(tmp_path) == []


def all_below(folder: Path) -> list[str]:
    """Command lines of whatever trains below the folder: ranks, their workers, torchrun."""
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder / "data" / "runs") in line]


def ranks(folder: Path) -> list[str]:
    return [line for line in all_below(folder) if "pipes_worker" in line and "ml_core.launch.agent" not in line]
