"""Stage functions of the tiny family."""

from __future__ import annotations

from pathlib import Path

from ml_core.running import StageRun
from ml_core.sources import Observation, observe_files
from ml_core.summary import Summary
from tests.dagster.letters.settings import RawSettings


def observe(settings: RawSettings, cache: Path) -> Observation:
    return observe_files([Path(settings.path)])


def copy(run: StageRun) -> Summary:
    (run.directory / "text.txt").write_bytes(Path(run.settings.path).read_bytes())
    return Summary()


def count(run: StageRun) -> Summary:
    letters = len(run.inputs["raw"].path("text.txt").read_text()) * run.settings.factor
    (run.directory / "count.txt").write_text(str(letters))
    summary = Summary(headline=f"{letters} letters.", numbers={"letters": letters, "missing": None, "even": True})
    summary.tables["Letters"] = [{"row": row, "share": row / 2 if row else None, "name": "x"} for row in range(300)]
    summary.check("usable", run.settings.blocking_passes, f"{letters} letters.")
    summary.check("pretty", run.settings.warning_passes, f"{letters} letters.")
    return summary


def report(run: StageRun) -> Summary:
    read = {name: artifact.digest for name, artifact in sorted(run.inputs.items())}
    (run.directory / "report.html").write_text(f"{run.settings.title}: {read}")
    return Summary(numbers={f"read.{name}": digest for name, digest in read.items()})
