"""What a person sees first in Dagster's web interface."""

from __future__ import annotations

from typing import Any

import pytest

from ml_core.families import find_families, get_family
from tests.browser.conftest import Picture
from tests.dagster.live import wait_for

pytestmark = pytest.mark.timeout(600)


def test_the_lineage_of_segger_shows_its_source_and_every_stage(page: Any) -> None:
    page.goto("/locations/__repository__@dagster_definitions/asset-groups/segger/lineage")
    for name in ["segger_source", *(f"segger_{stage.name}" for stage in get_family("segger").stages)]:
        page.get_by_text(name, exact=True).first.wait_for()
    page.locator("button").filter(has_text="Materialize").first.wait_for()


def test_every_family_is_a_group_of_the_lineage_of_all(page: Any, picture: Picture) -> None:
    page.goto("/asset-groups")
    for family in find_families():
        page.locator("foreignObject").get_by_text(family, exact=True).first.wait_for()
    wait_for(lambda: page.get_by_text("fetching statuses").count() == 0, what="the state of each group")
    picture("families")
