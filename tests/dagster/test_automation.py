"""Data outside the store, observed by their content."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from ml_core.sources import observe_files
from tests.dagster.conftest import Run, failure, materialization, value

SOURCE = dg.AssetKey("tiny_source")


def observed(instance: dg.DagsterInstance) -> str:
    record = instance.fetch_observations(SOURCE, limit=1).records[0]
    return record.event_log_entry.asset_observation.tags["dagster/data_version"]


def test_the_data_version_of_a_source_is_the_digest_of_its_content(
    run: Run, instance: dg.DagsterInstance, text: Path
) -> None:
    assert run(only=["source"], source={"path": str(text)}).success
    assert observed(instance) == observe_files([text]).digest


def test_the_same_bytes_elsewhere_have_the_same_data_version(
    run: Run, instance: dg.DagsterInstance, text: Path
) -> None:
    run(only=["source"], source={"path": str(text)})
    before = observed(instance)
    moved = text.rename(text.with_name("moved.txt"))
    run(only=["source"], source={"path": str(moved)})
    assert observed(instance) == before
    moved.write_text("other")
    run(only=["source"], source={"path": str(moved)})
    assert observed(instance) != before


def test_observing_the_same_bytes_again_re_runs_nothing(run: Run, text: Path) -> None:
    first = run()
    run(only=["source"], source={"path": str(text)})
    again = run()
    assert value(again, "raw", "cached")
    tag = "dagster/input_data_version/tiny_source"
    assert materialization(first, "raw").tags[tag] == materialization(again, "raw").tags[tag]


def test_a_missing_source_is_one_sentence(run: Run, text: Path) -> None:
    nowhere = text.with_name("nowhere.txt")
    failed = failure(run(only=["source"], source={"path": str(nowhere)}), "source")
    assert failed.step_failure_data.user_failure_data.description.startswith(f"{nowhere}: does not exist")


def test_a_source_without_settings_is_sought_where_the_same_run_reads_it(
    run: Run, instance: dg.DagsterInstance, text: Path
) -> None:
    assert run().success
    assert observed(instance) == observe_files([text]).digest


def test_a_source_observed_alone_is_sought_where_it_was_read_last(
    run: Run, instance: dg.DagsterInstance, text: Path
) -> None:
    run()
    text.write_text("changed")
    assert run(only=["source"]).success
    assert observed(instance) == observe_files([text]).digest
