"""What each rank of a stage runs under Dagster: python -m dagster_definitions.pipes_worker SPEC.

The first rank tells Dagster of its epochs and of what ml_core logs. The others do not touch Pipes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from dagster_pipes import PipesContext, open_dagster_pipes

from ml_core.launch.rank import own_rank, work


class _Epochs:
    """A `Watcher` that sends each epoch's row to the process that started this one."""

    def __init__(self, pipes: PipesContext) -> None:
        self._pipes = pipes

    def epoch(self, row: Mapping[str, float]) -> None:
        self._pipes.report_custom_message({name: float(value) for name, value in row.items()})


def main() -> None:
    spec = Path(sys.argv[1])
    if own_rank() > 0:
        work(spec)
        return
    with open_dagster_pipes() as pipes:
        logger = logging.getLogger("ml_core")
        logger.setLevel(logging.INFO)
        for handler in pipes.log.handlers:
            logger.addHandler(handler)
        work(spec, _Epochs(pipes))


if __name__ == "__main__":
    main()
