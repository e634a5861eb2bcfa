"""A real `dagster dev` in a folder of its own, and what a test asks it through GraphQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RUN = "query($id: ID!) {runOrError(runId: $id) {... on Run {status stepStats {stepKey status}}}}"
OBSERVED = """query($id: ID!) {logsForRun(runId: $id) {... on EventConnection {events {
    ... on ObservationEvent {assetKey {path}}}}}}"""
SAID = "query($id: ID!) {logsForRun(runId: $id) {... on EventConnection {events {... on MessageEvent {message}}}}}"
LAUNCH = """mutation($params: ExecutionParams!) {launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}
    ... on RunConfigValidationInvalid {errors {message}}}}"""
TERMINATE = """mutation($id: String!) {terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) {
    __typename ... on TerminateRunFailure {message}}}"""
START_SENSOR = """mutation($selector: SensorSelector!) {startSensor(sensorSelector: $selector) {
    __typename ... on PythonError {message}}}"""
RUNS = """query($job: String!) {runsOrError(filter: {pipelineName: $job}) {... on Runs {results {runId status}}}}"""


class Dev:
    """A running `dagster dev`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
            answered = json.load(answer)
        assert "errors" not in answered, answered["errors"]
        return dict(answered["data"])

    def place(self) -> dict[str, str]:
        """What every selector begins with: the only repository and its location."""
        (place,) = self.ask("{repositoriesOrError {... on RepositoryConnection {nodes {name location {name}}}}}")[
            "repositoriesOrError"
        ]["nodes"]
        return {"repositoryName": place["name"], "repositoryLocationName": place["location"]["name"]}

    def start_sensor(self, name: str) -> None:
        started = self.ask(START_SENSOR, selector={"sensorName": name, **self.place()})["startSensor"]
        assert started["__typename"] == "Sensor", started

    def runs(self, job: str) -> list[str]:
        """Ids of the runs of a job, newest first."""
        return [run["runId"] for run in self.ask(RUNS, job=job)["runsOrError"]["results"]]

    def launch(self, job: str, config: dict[str, Any]) -> str:
        """Start a job; the run's id."""
        selector = {"jobName": job, **self.place()}
        params = {"selector": selector, "runConfigData": config, "mode": "default"}
        launched = self.ask(LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def status(self, run: str) -> str:
        return str(self.ask(RUN, id=run)["runOrError"].get("status"))

    def epochs(self, run: str, asset: str) -> int:
        """Epochs observed so far."""
        events = self.ask(OBSERVED, id=run)["logsForRun"]["events"]
        return sum(event.get("assetKey", {}).get("path") == [asset] for event in events)

    def messages(self, run: str) -> list[str]:
        """The run's log so far."""
        return [event["message"] for event in self.ask(SAID, id=run)["logsForRun"]["events"]]

    def terminate(self, run: str) -> None:
        answer = self.ask(TERMINATE, id=run)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer


@contextmanager
def dagster_dev(folder: Path, module: str, **monitoring: int) -> Iterator[Dev]:
    """`dagster dev` in `folder` with the project's dagster.yaml, but for the times in `monitoring`."""
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    settings["run_monitoring"] |= monitoring
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", "-m", module, "-p", str(port), "-h", "127.0.0.1"]
    log = (folder / "dev.log").open("wb")
    process = subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=log, stderr=log, start_new_session=True
    )
    try:
        dev = Dev(folder, port)
        wait_for(lambda: _answers(dev), what="the webserver", seconds=300)
        yield dev
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        log.close()


def environment(folder: Path) -> dict[str, str]:
    """Of processes below `dagster dev` and of shells beside it: data in the folder, no DAGSTER_HOME."""
    kept = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    return {**kept, "BIOASSETS_DATA": str(folder / "data"), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def wait_for(true: Callable[[], Any], *, what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def _answers(dev: Dev) -> bool:
    try:
        return bool(
            dev.ask("{repositoriesOrError {... on RepositoryConnection {nodes {name}}}}")["repositoriesOrError"]
        )
    except (urllib.error.URLError, ConnectionError):
        return False
