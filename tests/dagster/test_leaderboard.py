"""The leaderboard as an asset: behind every report, in every family's job."""

from __future__ import annotations

import dagster as dg

from dagster_definitions import defs
from dagster_definitions.leaderboard import LEADERBOARD
from ml_core.artifacts import Store
from ml_core.families import find_families
from tests.dagster.conftest import Run


def test_it_stands_behind_every_report_in_a_group_of_its_own() -> None:
    node = defs().resolve_asset_graph().get(LEADERBOARD)
    assert node.group_name == "leaderboard"
    reports = {dg.AssetKey(f"{family.name}_{family.stages[-1].name}") for family in find_families().values()}
    assert node.parent_keys == reports


def test_a_familys_run_ends_with_a_line_for_its_report(run: Run, store: Store) -> None:
    for epochs in (1, 2):
        result = run(model={"epochs": epochs})
    metadata = result.asset_materializations_for_node("model_leaderboard")[0].metadata
    rows = metadata["tiny: runs"].records  # type: ignore[union-attr]
    current = store.current("tiny", "report")
    assert current is not None
    assert [row.data["model.epochs"] for row in rows] == [2, 1]
    assert rows[0].data["report"] == current.fingerprint
    assert (store.data / "leaderboard" / "report.html").is_file()


def test_without_a_report_it_is_one_sentence(run: Run, definitions: dg.Definitions, store: Store) -> None:
    job = definitions.resolve_job_def("tiny")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process({}, instance=instance, asset_selection=[LEADERBOARD], raise_on_error=False)
        (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "has no report of tiny" in failed.step_failure_data.user_failure_data.description
