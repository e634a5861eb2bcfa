"""Dagster's door to the families. Lazy: importing this package loads neither a family nor torch."""

from __future__ import annotations

from functools import cache

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that `-m dagster_definitions` and workspace.yaml load."""
    return _built()


@cache
def _built() -> dg.Definitions:
    """Once in a process: Dagster 1.13 asks seven times for them in one `asset materialize`."""
    from dagster_definitions.definitions import build_definitions
    from ml_core.families import find_families

    return build_definitions(find_families().values())
