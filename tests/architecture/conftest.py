"""The source tree that the architecture tests read."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def src(root: Path) -> Path:
    return root / "src"
