"""Real data that a case measures besides simulated ones, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "BIOASSETS_REAL_DATA"


def real_data(*parts: str) -> Path | None:
    """A file or folder below $BIOASSETS_REAL_DATA (see data/README.md); None where it is absent, or none is named."""
    folder = os.environ.get(FOLDER)
    found = Path(folder, *parts) if folder else None
    return found if found is not None and found.exists() else None
