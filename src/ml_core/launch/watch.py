"""No rank outlives what it belongs to: the others, torchrun, and the process that started torchrun."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ml_core.launch.folder import FIRST_ERROR, PARENT_LIVES, is_alive

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_AFTER_FIRST_ERROR = 5.0  # a rank that hangs in a collective, or computes for long, hears of it in no other way
SECONDS_TO_SAVE_AS_ORPHAN = 20.0


class Watch:
    """While it is entered, a thread ends this process when it is no longer of use.

    Hard, when a rank's first error has stood in `folder` for 5 s. By SIGTERM, as a request to save and stop, when
    torchrun or (with `parent`) whoever holds the folder is gone; hard after another 20 s.

    at_end: called before a hard end, for the rank that has to tell the user.
    """

    def __init__(self, folder: Path | None, *, parent: bool = False, at_end: Callable[[], None] | None = None) -> None:
        self._folder, self._parent, self._at_end = folder, parent, at_end
        self._agent = os.getppid()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-company", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        failed_at = orphan_at = None
        while not self._done.wait(SECONDS_BETWEEN_LOOKS):
            now = time.monotonic()
            if failed_at is None and self._folder is not None and (self._folder / FIRST_ERROR).exists():
                failed_at = now
            if orphan_at is None and self._is_orphan():
                orphan_at = now
                os.kill(os.getpid(), signal.SIGTERM)
            failed = failed_at is not None and now - failed_at > SECONDS_AFTER_FIRST_ERROR
            if failed or (orphan_at is not None and now - orphan_at > SECONDS_TO_SAVE_AS_ORPHAN):
                if self._at_end is not None:
                    self._at_end()
                os._exit(1)

    def _is_orphan(self) -> bool:
        if os.getppid() != self._agent:
            return True
        return self._parent and self._folder is not None and not is_alive(self._folder / PARENT_LIVES)
