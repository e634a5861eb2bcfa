"""What the tiny family's stages do."""

from __future__ import annotations

import hashlib
import json
import math
import time
from pathlib import Path

from PIL import Image

from ml_core.sources import Observation, observe_files
from ml_core.stages import StageRun
from ml_core.summary import Summary
from ml_core.training.interrupt import Interrupted, StopAsked, StopRequest
from tests.dagster.tiny.family import RawSettings

OWN_NUMBERS = "1\n2\n3\n4\n5\n"


def observe(settings: RawSettings, cache: Path) -> Observation:
    if settings.path:
        return observe_files([Path(settings.path)])
    return Observation(hashlib.sha256(OWN_NUMBERS.encode()).hexdigest(), {"source": "our own"})


def raw(run: StageRun) -> Summary:
    text = Path(run.settings.path).read_text() if run.settings.path else OWN_NUMBERS
    (run.directory / "numbers.txt").write_text(text)
    summary = Summary(headline=f"{len(text.split())} numbers.")
    summary.check("some", bool(text.split()), f"{len(text.split())} numbers.")
    return summary


def table(run: StageRun) -> Summary:
    numbers = [float(line) for line in run.inputs["raw"].path("numbers.txt").read_text().split()]
    numbers = [number * run.settings.factor for number in numbers]
    (run.directory / "table.json").write_text(json.dumps(numbers))
    summary = Summary(numbers={"table.sum": sum(numbers), "table.odd": math.nan, "table.full": True})
    summary.check("positive", min(numbers) > 0, f"the least is {min(numbers)}.")
    summary.check("not_strange", max(numbers) <= run.settings.most, f"the greatest is {max(numbers)}.")
    return summary


def train(run: StageRun) -> Summary:
    """A checkpoint after each epoch; a request to stop is answered at the epoch's end, as by the trainer."""
    checkpoint = run.work / "checkpoint.json"
    run.work.mkdir(parents=True, exist_ok=True)
    first = json.loads(checkpoint.read_text())["epoch"] + 1 if checkpoint.exists() else 1
    loss = 0.0
    with StopRequest(None) as stop:
        for epoch in range(first, run.settings.epochs + 1):
            time.sleep(run.settings.seconds_per_epoch)
            loss = math.nan if run.settings.diverges and epoch == run.settings.epochs else 1 / epoch
            checkpoint.write_text(json.dumps({"epoch": epoch}))
            run.watcher.epoch({"epoch": epoch, "train_loss": loss, "learning_rate": 0.1})
            try:
                stop.check()
            except StopAsked as asked:
                raise Interrupted(asked.cause, checkpoint) from None
    (run.directory / "model.json").write_text(json.dumps({"epochs": run.settings.epochs}))
    (run.directory / "logs" / "tensorboard").mkdir(parents=True)
    summary = Summary(numbers={"train.loss": loss, "train.first_epoch": first})
    summary.check("finite", math.isfinite(loss), f"the last loss is {loss}.")
    return summary


def report(run: StageRun) -> Summary:
    (run.directory / "figures").mkdir()
    Image.effect_noise((900, 700), 90).save(run.directory / "figures" / "noise.png")
    (run.directory / "report.html").write_text("<p>good</p>")
    rows = [{"name": f"row {index}", "value": index * 0.5, "count": index} for index in range(run.settings.rows)]
    return Summary(headline="It is good.", tables={"Rows": rows}, figures={"Noise": "figures/noise.png"})
