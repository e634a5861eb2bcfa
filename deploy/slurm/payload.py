"""What a Slurm job of definitions.py runs: the shell's command, and what came of it told through Dagster Pipes."""

from __future__ import annotations

import sys
from pathlib import Path

from dagster_pipes import PipesContext, open_dagster_pipes

from ml_core.__main__ import default_data_directory, main
from ml_core.artifacts import Store
from ml_core.families import get_family


def run(pipes: PipesContext) -> int:
    """The shell's exit code; what the last stage made is the materialization."""
    family = get_family(pipes.get_extra("family"))
    stage = pipes.get_extra("until") or family.stages[-1].name
    data = Path(pipes.get_extra("data") or default_data_directory())
    preset = pipes.get_extra("preset")
    status = main(
        ["run", family.name, "--until", stage, "--data", str(data), *(["--config", preset] if preset else [])]
    )
    made = Store(data).current(family.name, stage)
    if status == 0 and made is not None:
        metadata = {"headline": made.summary.headline or "", "directory": str(made.directory)}
        pipes.report_asset_materialization(metadata=metadata, data_version=made.digest)
    return status


if __name__ == "__main__":
    with open_dagster_pipes() as opened:
        code = run(opened)
    sys.exit(code)
