"""A person switches a sensor on and drops a file."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ml_core.families import get_family
from tests.browser.conftest import Picture
from tests.dagster.dropped import arrive, order_that_waits
from tests.dagster.live import Dev, wait_for

pytestmark = pytest.mark.timeout(900)
TWO_LOOKS = 240  # s: a sensor looks every 30 s, and a busy machine is late


def test_a_sensor_that_is_switched_on_runs_the_file_that_is_dropped(dev: Dev, page: Any, picture: Picture) -> None:
    files = order_that_waits(get_family("hgt"), dev.folder)
    page.goto("/automation")
    page.get_by_text("hgt_new_data", exact=True).wait_for()
    switch = page.get_by_text("hgt_new_data", exact=True).locator("xpath=following::input[@type='checkbox'][1]")
    page.wait_for_timeout(2000)  # the page first asks which sensors run
    assert not switch.is_checked()
    switch.locator("xpath=parent::label").click()  # the box itself has no size
    wait_for(switch.is_checked, what="a switch that is on")
    page.wait_for_timeout(2000)
    page.reload()
    wait_for(switch.is_checked, what="a sensor that runs, and not its picture only")
    picture("automation")
    assert dev.runs("hgt") == []

    for path in files:
        arrive(path)
    wait_for(lambda: dev.runs("hgt"), what="a run", seconds=TWO_LOOKS)
    page.goto("/locations/dagster_definitions/sensors/hgt_new_data")
    page.get_by_text(re.compile("1 requested|1 run")).first.wait_for()
    page.goto(f"/runs/{dev.runs('hgt')[0]}")
    page.get_by_text("Success", exact=True).first.wait_for(timeout=600_000)
    picture("dropped")
    page.goto("/assets/hgt_report?view=checks")
    page.get_by_text("Succeeded").first.wait_for()
