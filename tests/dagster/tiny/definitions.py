"""The door with the tiny family alone, for processes that tests start."""

from __future__ import annotations

import dagster as dg

from dagster_definitions.definitions import build_definitions
from tests.dagster.tiny.family import FAMILY


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions([FAMILY])
