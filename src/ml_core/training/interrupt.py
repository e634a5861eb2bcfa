"""A request to stop: Ctrl-C, SIGTERM, or the caller's own question."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

SECONDS_OF_ONE_REQUEST = 2.0
_on_the_way_out = threading.Event()


def is_on_the_way_out() -> bool:
    """Whether the last training of this process was left by an exception: it has been stopped, or has failed."""
    return _on_the_way_out.is_set()


class Interrupted(Exception):
    """Training stopped as it was asked to; `fit` on the same directory goes on from `checkpoint`.

    `checkpoint` is None when the stop came before the first window was complete.
    """

    def __init__(self, cause: str, checkpoint: Path | None) -> None:
        saved = "nothing was done yet" if checkpoint is None else f"{checkpoint} is saved"
        super().__init__(f"Training was stopped by {cause}; {saved}, start the same run again to go on from there.")
        self.cause = cause
        self.checkpoint = checkpoint


class StopAsked(Exception):
    """Carries the request out of the loops to where the run is saved."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class StopRequest:
    """While it is entered, SIGINT and SIGTERM only ask for a stop; the trainer answers at the end of its window.

    A second signal stops at once with KeyboardInterrupt, for windows that take too long. It must come two seconds after
    the first: under a launcher one Ctrl-C arrives twice, from the terminal and passed on. Handlers are installed in the
    main thread only, where Python allows it, and put back afterwards.
    """

    def __init__(self, should_stop: Callable[[], bool] | None) -> None:
        self._should_stop = should_stop
        self._before: dict[int, Any] = {}
        self._signal: str | None = None
        self._asked_at = 0.0

    def asked(self) -> str | None:
        """Who asked for a stop, if somebody did."""
        if self._signal is None and self._should_stop is not None and self._should_stop():
            return "the caller"
        return self._signal

    def __enter__(self) -> Self:
        _on_the_way_out.clear()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None:
            _on_the_way_out.set()  # before the handlers go: see launch/watch.py
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._signal is None:
            self._signal, self._asked_at = signal.Signals(number).name, time.monotonic()
        elif time.monotonic() - self._asked_at > SECONDS_OF_ONE_REQUEST:
            raise KeyboardInterrupt
