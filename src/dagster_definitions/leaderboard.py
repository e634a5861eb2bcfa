"""The asset model_leaderboard: every report of every family, side by side."""

from collections.abc import Sequence

import dagster as dg

from dagster_definitions.metadata import figure, table
from dagster_definitions.resources import DataRoot
from dagster_definitions.stage_assets import ended_in_one_sentence, stage_key
from ml_core.leaderboard import write_leaderboard
from ml_core.stages import Family

LEADERBOARD = dg.AssetKey("model_leaderboard")


def leaderboard_asset(families: Sequence[Family]) -> dg.AssetsDefinition:
    """Runs x differing settings x metrics x baseline x cost, a table and a figure for each family."""

    @dg.asset(
        key=LEADERBOARD,
        group_name="leaderboard",
        kinds={"html"},
        deps=[stage_key(family, family.stages[-1].name) for family in families],
        description="Every report of every family: settings that differ, figures, best baseline, CPU time and memory.",
    )
    def model_leaderboard(context: dg.AssetExecutionContext, data_root: DataRoot) -> dg.MaterializeResult:
        with ended_in_one_sentence(context):
            board = write_leaderboard(families, data_root.store())
        found = {"report": dg.MetadataValue.path(board.directory / "report.html")}
        for name, rows in board.rows.items():
            found[f"{name}: runs"] = table(rows[::-1])  # the newest first, for long tables are cut
            if name in board.figures:
                found[f"{name}: figure"] = figure(board.figures[name], title=name)
        return dg.MaterializeResult(asset_key=LEADERBOARD, metadata=found)

    return model_leaderboard
