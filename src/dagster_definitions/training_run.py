"""A run as Dagster sees it while it goes on: a live curve, and no step that outlives its run."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

SECONDS_BETWEEN_LOOKS = 5.0


class ObservedEpochs:
    """A `Watcher` that leaves one AssetObservation per epoch, which the UI draws as growing plots."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context

    def epoch(self, row: Mapping[str, float]) -> None:
        finite = {name: value for name, value in row.items() if math.isfinite(value)}
        odd = ", ".join(f"{name} is {row[name]}" for name in row if name not in finite)
        self._context.log_event(
            dg.AssetObservation(
                self._context.asset_key,
                description=f"epoch {row['epoch']:.0f}{f': {odd}' if odd else ''}" if "epoch" in row else odd or None,
                metadata={name: dg.MetadataValue.float(float(value)) for name, value in finite.items()},
            )
        )


@contextmanager
def stopped_with_parent() -> Iterator[None]:
    """Within: when the process that started this one is gone, this one is asked to stop, as by SIGTERM.

    A step whose run worker was killed would go on for hours, hold the accelerator and be seen by nobody. A process that
    a user started himself has no such parent and is left alone.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            if not parent.is_alive():
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, name="watch-parent", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
