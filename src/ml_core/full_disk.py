"""A disk that is full, in one sentence, whichever library met it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_core.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT}
SAID = ("No space left on device", "Disk quota exceeded", "errno = 28")  # h5py and others keep the number in the text


@contextmanager
def full_disk_in_one_sentence(place: Path, *, what: str) -> Iterator[None]:
    """Within, an OSError of a full disk becomes a UserError that names `place`, where `what` was to be written.

    Other errors stay what they are, also an OSError on a file that the caller only reads.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL and not any(text in str(error) for text in SAID):
            raise
        free_mb = shutil.disk_usage(place).free / 1e6 if place.exists() else 0.0
        raise UserError(
            f"{what}: the disk of {place} is full ({free_mb:,.0f} MB free); free some space and start the same run "
            "again: what was done before is whole."
        ) from error
