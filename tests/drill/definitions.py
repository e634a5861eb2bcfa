"""What `-m tests.drill.definitions` loads: Dagster's door with the drill's family behind it."""

from __future__ import annotations

from dagster_definitions.definitions import build_definitions
from tests.drill.line.family import FAMILY

defs = build_definitions([FAMILY])
