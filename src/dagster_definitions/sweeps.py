"""A code location of its own: each family by dataset and seed, for backfills from the UI.

It stands apart because one partitioned asset makes `dagster asset materialize --select '*'` fail (1.13).
"""

from __future__ import annotations

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """What workspace.yaml loads beside the main location."""
    from dagster_definitions.resources import CHECKOUT
    from dagster_definitions.sweep_assets import build_sweeps
    from ml_core.families import find_families

    return build_sweeps(find_families().values(), configs=CHECKOUT / "configs")
