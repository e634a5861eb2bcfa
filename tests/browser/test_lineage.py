"""What a person sees first in Dagster's web interface."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_core.families import get_family
from tests.dagster.live import Dev, dagster_dev

playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[browser]' brings playwright")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dagster_dev(tmp_path_factory.mktemp("lineage"), "dagster_definitions") as dev:
        yield dev


@pytest.mark.timeout(300)
def test_the_lineage_of_segger_shows_its_source_and_every_stage(dev: Dev, tmp_path: Path) -> None:
    """BIOASSETS_SCREENSHOTS names a folder that keeps the picture."""
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    folder = Path(os.environ.get("BIOASSETS_SCREENSHOTS") or tmp_path)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        names = ["segger_source", *(f"segger_{stage.name}" for stage in get_family("segger").stages)]
        page.goto(
            f"{dev.url}/locations/__repository__@dagster_definitions/asset-groups/segger/lineage",
            wait_until="domcontentloaded",
        )
        try:
            for name in names:
                page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
            page.get_by_text("Materialize", exact=False).first.wait_for(timeout=30_000)
        finally:
            page.screenshot(path=folder / "lineage.png")
            browser.close()
    assert (folder / "lineage.png").stat().st_size > 10_000
