"""A browser before a real `dagster dev`, which fails the test where a page writes an error on its console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dagster.live import Dev, dagster_dev

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Parts of console errors that are no fault of ours, each with the reason. None is known.
ALLOWED: dict[str, str] = {}
PATIENCE_MS = 120_000  # a busy machine is no fault

Picture = Callable[[str], None]


@pytest.fixture(scope="package")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One `dagster dev` with all families and an empty history, for all tests of this folder."""
    with dagster_dev(tmp_path_factory.mktemp("browser"), "dagster_definitions", poll_interval_seconds=1) as dev:
        yield dev


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[browser]' brings playwright")
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, dev: Dev) -> Iterator[Any]:
    """A tab of its own at Dagster's address: `page.goto("/runs")`."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=dev.url)
    context.set_default_timeout(PATIENCE_MS)
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert [error for error in errors if not any(part in error for part in ALLOWED)] == []


@pytest.fixture
def picture(page: Any, tmp_path: Path) -> Picture:
    """Keep what the page shows, in the folder that BIOASSETS_SCREENSHOTS names: docs/images are made so."""
    folder = Path(os.environ.get("BIOASSETS_SCREENSHOTS") or tmp_path)

    def keep(name: str) -> None:
        page.mouse.move(0, 0)  # no hint of what lies beneath
        page.wait_for_timeout(1000)  # until nothing moves any more
        page.screenshot(path=folder / f"{name}.png")

    return keep
