"""A person launches a family, watches it, stops it, goes on, and reads what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from ml_core.artifacts import Artifact, Store
from ml_core.families import get_family
from tests.browser.conftest import Picture
from tests.dagster.live import ROOT, Dev, wait_for

pytestmark = pytest.mark.timeout(900)

LINEAGE = "/locations/__repository__@dagster_definitions/asset-groups/segger/lineage"
EPOCHS = 14
SECONDS = 600  # at most, until a run reaches what is waited for


@dataclass
class Story:
    """What the tests below did, in their order: each goes on from the one before."""

    launched: str = ""
    seen: int = 0  # epochs when it was stopped
    resumed: str = ""


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


def preset(**model: Any) -> str:
    """The part of configs/quick.yaml that is segger's, with other fields of the model."""
    quick = yaml.safe_load((ROOT / "configs" / "quick.yaml").read_text())
    ops = {name: entry for name, entry in quick["ops"].items() if name.startswith("segger_")}
    ops["segger_raw"]["config"]["cells"] = 150
    ops["segger_model"]["config"] = model
    return yaml.safe_dump({"execution": quick["execution"], "ops": ops}, sort_keys=False)


def write(page: Any, text: str) -> None:
    """Put a text into the launchpad's editor, as pasting does."""
    page.locator(".CodeMirror:has(.CodeMirror-linenumber)").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def test_the_launchpad_refuses_a_misspelt_field_and_launches_a_changed_one(
    dev: Dev, page: Any, picture: Picture, story: Story
) -> None:
    page.goto(LINEAGE)
    materialize = page.locator("button").filter(has_text="Materialize all")
    materialize.locator("xpath=following::button[1]").click()
    page.get_by_text("Open launchpad").click()
    page.get_by_text("All defaults expanded").wait_for()
    launch = page.locator("button").filter(has_text=re.compile("^Materialize$"))

    write(page, preset(max_epoch=EPOCHS))
    page.get_by_text('unexpected config entry "max_epoch"').wait_for()
    assert launch.is_disabled()

    write(page, preset(max_epochs=EPOCHS, patience=None))
    page.locator(".CodeMirror").get_by_text("max_epochs").wait_for()
    wait_for(launch.is_enabled, what="a config without errors", seconds=SECONDS)
    picture("launchpad")
    launch.click()
    page.wait_for_url(re.compile("/runs/[0-9a-f-]{36}"))
    story.launched = page.url.rpartition("/runs/")[2][:36]
    query = "query($id: ID!) {runOrError(runId: $id) {... on Run {runConfigYaml}}}"
    config = yaml.safe_load(dev.ask(query, id=story.launched)["runOrError"]["runConfigYaml"])
    assert config["ops"]["segger_model"]["config"]["max_epochs"] == EPOCHS


def test_the_curves_grow_while_it_trains(dev: Dev, page: Any, picture: Picture, story: Story) -> None:
    assert story.launched
    wait_for(lambda: dev.epochs(story.launched, "segger_model") >= 1, what="an epoch", seconds=SECONDS)
    curve = page.get_by_text("train_loss", exact=True).locator("xpath=following::canvas[1]")
    pictures = set()

    def grown() -> bool:
        page.goto("/assets/segger_model")  # 1.13 draws what came since then only on a page that is loaded again
        page.get_by_text("Plots", exact=True).click()
        curve.wait_for()
        page.wait_for_timeout(2000)
        pictures.add(curve.evaluate("canvas => canvas.toDataURL()"))
        return dev.epochs(story.launched, "segger_model") >= 4 and len(pictures) >= 3

    wait_for(grown, what="a curve that grows", seconds=SECONDS)
    curve.scroll_into_view_if_needed()
    picture("curves")
    assert dev.status(story.launched) == "STARTED"


def test_a_run_is_stopped_and_goes_on_from_its_checkpoint(dev: Dev, page: Any, picture: Picture, story: Story) -> None:
    assert story.launched
    page.goto(f"/runs/{story.launched}")
    page.locator("button").filter(has_text=re.compile("^Terminate$")).click()
    page.locator("button").filter(has_text="Terminate 1 run").click()
    wait_for(lambda: dev.status(story.launched) == "CANCELED", what="the end", seconds=SECONDS)
    page.goto(f"/runs/{story.launched}")  # the dialog may close by itself or wait for a click on Done
    page.get_by_text("Canceled", exact=True).first.wait_for()
    story.seen = dev.epochs(story.launched, "segger_model")
    assert 0 < story.seen < EPOCHS

    page.locator("button").filter(has_text="Re-execute").first.click()
    page.wait_for_url(lambda url: "/runs/" in url and story.launched not in url)
    story.resumed = page.url.rpartition("/runs/")[2][:36]
    wait_for(lambda: dev.epochs(story.resumed, "segger_model") >= 1, what="the next epoch", seconds=SECONDS)
    page.get_by_placeholder("Filter…").fill("going on from")
    page.get_by_text(re.compile("going on from .*: epoch")).first.wait_for()
    picture("resumed")
    wait_for(lambda: dev.status(story.resumed) in ("SUCCESS", "FAILURE"), what="the report", seconds=SECONDS)
    assert dev.status(story.resumed) == "SUCCESS", "\n".join(dev.messages(story.resumed))
    assert dev.epochs(story.resumed, "segger_model") == EPOCHS - story.seen


def made(dev: Dev, stage: str) -> Artifact:
    artifact = Store(dev.folder / "data").current("segger", stage)
    assert artifact is not None
    return artifact


def test_figures_and_tables_of_the_report_are_seen(dev: Dev, page: Any, picture: Picture, story: Story) -> None:
    assert story.resumed
    summary = made(dev, "report").summary
    page.goto("/assets/segger_report?view=events")
    for title in (*summary.figures, *(name for name, rows in summary.tables.items() if rows)):
        page.get_by_text(title, exact=True).first.wait_for(state="attached")
    picture("report-asset")
    for title in summary.figures:
        row = page.get_by_role("row").filter(has=page.get_by_text(title, exact=True)).first
        row.get_by_text("Show Markdown").click()
        shown = page.get_by_alt_text(title, exact=True)
        shown.wait_for()
        assert shown.evaluate("image => image.complete && image.naturalWidth") >= 300
        picture(f"figure-{title.split()[0].lower()}")
        page.keyboard.press("Escape")
        shown.wait_for(state="hidden")


def test_checks_say_what_was_found_and_what_to_do(dev: Dev, page: Any, picture: Picture, story: Story) -> None:
    assert story.resumed
    (report,) = (stage for stage in get_family("segger").stages if stage.name == "report")
    page.goto("/assets/segger_report?view=checks")
    for check in report.checks:
        page.get_by_text(check.name, exact=True).first.click()
        page.get_by_text(f"What to do: {check.remedy}").first.wait_for()
    (first, *_) = (result for result in made(dev, "report").summary.checks)
    page.get_by_text(first.name, exact=True).first.click()
    page.get_by_text(first.message).first.wait_for()
    picture("checks")
    page.goto(LINEAGE)
    page.get_by_text("segger_report", exact=True).first.wait_for()
    picture("lineage")
