"""What all tests share: marks by folder, an environment of their own, the folder of the real data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).resolve().parent
MARKED_FOLDERS = {"browser", "deploy", "postgres", "real"}

# The same examples on every machine, and no deadline: a busy machine is not a fault.
settings.register_profile("bioassets", deadline=None, derandomize=True)
settings.load_profile("bioassets")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """No test reads or writes the data or the Dagster history of whoever runs it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("BIOASSETS_DATA", raising=False)
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return TESTS.parent


@pytest.fixture(scope="session")
def real_data(root: Path) -> Path:
    """Folder of the real data (data/README.md); a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("BIOASSETS_REAL_DATA") or root.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; put the real data there or name their folder in BIOASSETS_REAL_DATA")
    return folder
