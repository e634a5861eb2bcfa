"""Files of a family's simulator that arrive as if an instrument had made them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from ml_core.artifacts import Store
from ml_core.running import run_stage
from ml_core.stages import Family

IN_PROCESS = {"execution": {"config": {"in_process": {}}}}


def order_that_waits(family: Family, folder: Path) -> list[Path]:
    """A standing order in `folder` for the family's smallest run, and the files that it waits for: see `arrive`."""
    data = folder / "data"
    made, described = simulated_files(family, folder / "made")
    shutil.copytree(next(iter(made.values())).parent, data / "inbox")  # with the files that a sheet names
    fields = {name: data / "inbox" / path.name for name, path in made.items()}
    for path in fields.values():
        path.rename(path.with_name(f".{path.name}"))
    config: dict[str, Any] = {f"{family.name}_{stage}": {"config": dict(of)} for stage, of in family.smallest.items()}
    config[f"{family.name}_{family.stages[0].name}"] = {
        "config": {**described, "source": "path", **{name: str(path) for name, path in fields.items()}}
    }
    (data / "retrain").mkdir()
    (data / "retrain" / f"{family.name}.yaml").write_text(yaml.safe_dump({"ops": config, **IN_PROCESS}))
    return list(fields.values())


def arrive(path: Path) -> None:
    """The file is at its place at once, as after `mv` within one disk."""
    path.with_name(f".{path.name}").rename(path)


def simulated_files(family: Family, folder: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Field of the settings to the simulator's file, and the other fields that say what the files are."""
    first, store = family.stages[0], Store(folder)
    settings = first.settings.parse(dict(family.smallest.get(first.name, {})), where=first.name)
    made = run_stage(family, first, settings=settings, store=store).artifact
    source = json.loads(made.path("source.json").read_text())
    fields = first.settings.model_fields
    described = {name: value for name, value in source.items() if name in fields and name not in ("files", "source")}
    return {name: made.path(file) for name, file in source["files"].items() if name in fields}, described
