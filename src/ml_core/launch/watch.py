"""No rank outlives what it belongs to: the others, torchrun, and the process that started torchrun."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ml_core.launch.folder import FIRST_ERROR, PARENT_LIVES, is_alive, rank_lock, rank_locks
from ml_core.training.interrupt import is_on_the_way_out

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_AFTER_FAILURE = 5.0  # a rank that hangs in a collective, or computes for long, hears of it in no other way
SECONDS_TO_SAVE_AS_ORPHAN = 20.0


class Watch:
    """While it is entered, a thread ends this process when it is no longer of use.

    By SIGTERM, as a request to save and stop, when the process that started this one (torchrun) is gone; hard when it
    still runs 20 s later. A training that is on its way out already, for another rank heard of it first, is not asked:
    nothing would be there to answer, and the process would end before it has said what it saved. A subclass knows of
    more reasons.
    """

    def __init__(self) -> None:
        self._agent = os.getppid()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def is_orphan(self) -> bool:
        return os.getppid() != self._agent

    def has_failed(self) -> bool:
        """Whether there is no more sense in going on."""
        return False

    def before_hard_end(self) -> None:
        """Last words."""

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
            if failed_at is None and self.has_failed():
                failed_at = now
            if orphan_at is None and self.is_orphan():
                orphan_at = now
                if not is_on_the_way_out():
                    os.kill(os.getpid(), signal.SIGTERM)
            failed = failed_at is not None and now - failed_at > SECONDS_AFTER_FAILURE
            if failed or (orphan_at is not None and now - orphan_at > SECONDS_TO_SAVE_AS_ORPHAN):
                self.before_hard_end()
                os._exit(1)


class WatchFolder(Watch):
    """Ends this process also when the first error of a rank has stood in `folder` for 5 s, or another rank has died.

    rank: set where ranks and their parent are `alive` in the folder; the parent's end then makes an orphan too.
    last_words: called before a hard end, by the rank that has to tell the user.
    """

    def __init__(self, folder: Path, *, rank: int | None = None, last_words: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._folder, self._rank, self._last_words = folder, rank, last_words

    def is_orphan(self) -> bool:
        return super().is_orphan() or (self._rank is not None and not is_alive(self._folder / PARENT_LIVES))

    def has_failed(self) -> bool:
        if (self._folder / FIRST_ERROR).exists():
            return True
        if self._rank is None:
            return False
        others = [lock for lock in rank_locks(self._folder) if lock != rank_lock(self._folder, self._rank)]
        return any(lock.exists() and not is_alive(lock) and lock.exists() for lock in others)

    def before_hard_end(self) -> None:
        if self._last_words is not None:
            self._last_words()
