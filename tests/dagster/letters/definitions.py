"""What `-m tests.dagster.letters.definitions` loads: the door with the tiny family behind it."""

from __future__ import annotations

from dagster_definitions.definitions import build_definitions
from tests.dagster.letters.family import FAMILY

defs = build_definitions([FAMILY])
