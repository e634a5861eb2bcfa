"""A stage behaves the same through Dagster's door as through the shell's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import dagster as dg
import pytest

from dagster_definitions.definitions import build_definitions
from dagster_definitions.stage_assets import ACCELERATOR, config_class
from ml_core.artifacts import Store
from ml_core.promotion import champion_of
from ml_core.stages import Score
from ml_core.training.settings import TrainingSettings
from tests.dagster.conftest import Run, failure, materialization, materialized, value
from tests.dagster.letters.family import FAMILY

STAGES = ["raw", "table", "model", "report"]


def key(stage: str) -> dg.AssetKey:
    return dg.AssetKey(f"tiny_{stage}")


def test_unchanged_work_is_not_redone(run: Run) -> None:
    first, second = run(), run()
    assert first.success
    assert second.success
    assert [value(first, stage, "cached") for stage in STAGES] == [False] * 4
    assert [value(second, stage, "cached") for stage in STAGES] == [True] * 4
    assert [value(first, stage, "artifact") for stage in STAGES] == [
        value(second, stage, "artifact") for stage in STAGES
    ]


def test_a_changed_setting_runs_its_stage_and_those_downstream_again(run: Run) -> None:
    run()
    again = run(model={"loss": "mae"})
    assert [value(again, stage, "cached") for stage in STAGES] == [True, True, False, False]


def test_changed_bytes_outside_run_everything_again(run: Run, text: Path) -> None:
    run()
    text.write_text("good-bye")
    again = run()
    assert [value(again, stage, "cached") for stage in STAGES] == [False] * 4


def test_force_runs_a_stage_although_nothing_has_changed(run: Run) -> None:
    run()
    again = run(model={"force": True})
    assert [value(again, stage, "cached") for stage in STAGES] == [True, True, False, True]


def test_a_failed_blocking_check_keeps_the_asset_and_stops_what_stands_downstream(
    run: Run, instance: dg.DagsterInstance
) -> None:
    result = run(table={"blocking_passes": False})
    assert not result.success
    assert materialized(result) == {"raw", "table"}
    assert instance.get_latest_materialization_event(key("table")) is not None
    (evaluation,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "usable"]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert evaluation.description == "10 letters. Write another text."


def test_a_failed_blocking_check_of_an_earlier_run_stops_a_stage_that_is_run_alone(run: Run) -> None:
    run(table={"blocking_passes": False})
    result = run(only=["model"], model={})
    assert "check 'usable' failed" in failure(result, "model").step_failure_data.user_failure_data.description


def test_a_cached_artifact_fails_its_blocking_check_again(run: Run) -> None:
    run(table={"blocking_passes": False})
    again = run(table={"blocking_passes": False})
    assert value(again, "table", "cached")
    assert materialized(again) == {"raw", "table"}


def test_a_failed_warning_check_stops_nothing(run: Run) -> None:
    result = run(table={"warning_passes": False})
    assert result.success
    assert materialized(result) == set(STAGES)
    (evaluation,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "pretty"]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_the_data_version_is_the_digest_of_the_content(run: Run, store: Store) -> None:
    result = run()
    for stage in STAGES:
        current = store.current("tiny", stage)
        assert current is not None
        assert materialization(result, stage).tags["dagster/data_version"] == current.digest


def test_what_another_run_makes_meanwhile_is_not_read(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run(table={"factor": 3})
    other = store.current("tiny", "table")
    assert other is not None
    make_current = Store.make_current

    def overtaken(self: Store, family: str, stage: str, fingerprint: str) -> None:
        """Another run points `current` elsewhere as soon as this one has pointed it at its own table."""
        make_current(self, family, stage, other.fingerprint if stage == "table" else fingerprint)

    monkeypatch.setattr(Store, "make_current", overtaken)
    result = run(table={"factor": 2})
    assert value(result, "report", "read.table") == value(result, "table", "digest") != other.digest
    monkeypatch.undo()


def test_a_stage_run_alone_reads_the_current_artifacts(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    alone = run(only=["report"], report={"title": "New"})
    assert alone.success
    assert value(alone, "report", "read.table") == value(first, "table", "digest")


def test_a_partial_re_execution_reads_what_its_parent_run_made(
    run: Run, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    parent = run(table={"factor": 3}, model={"epochs": 1})
    run(table={"factor": 4}, model={"epochs": 1})  # `current` moves on
    child = definitions.resolve_job_def("tiny").execute_in_process(
        run_config={"ops": {"tiny_report": {"config": {"title": "Again"}}}},
        instance=instance,
        asset_selection=[key("report")],
        tags={"dagster/parent_run_id": parent.run_id, "dagster/root_run_id": parent.run_id},
    )
    assert value(child, "report", "read.table") == value(parent, "table", "digest")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [({"factor": 0}, "tiny_table: field 'factor' is 0: input should be greater than or equal to 1.")],
)
def test_a_value_out_of_range_is_one_sentence(run: Run, table: dict[str, int], sentence: str) -> None:
    failed = failure(run(table=table), "table").step_failure_data
    assert failed.user_failure_data.description == sentence


def test_what_the_user_must_mend_is_one_sentence_and_not_retried(run: Run, text: Path) -> None:
    nowhere = text.with_name("nowhere.txt")
    result = run(source={"path": str(text)}, raw={"path": str(nowhere)})
    failed = failure(result, "raw").step_failure_data
    assert failed.user_failure_data.description == f"{nowhere}: does not exist; check the path in your settings."
    assert failed.error.cause is None
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert materialized(result) == set()


def test_an_unknown_field_is_refused_at_launch(run: Run) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="facter"):
        run(table={"facter": 3})


def test_every_stage_is_an_asset_that_says_what_it_is(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for stage in FAMILY.stages:
        node = graph.get(key(stage.name))
        assert node.group_name == "tiny"
        assert node.description == stage.description
        assert node.kinds == set(stage.kinds)
        assert node.code_version == FAMILY.code_version(stage)
        assert node.pools == ({ACCELERATOR} if stage.trains else set())
        parents = {key(name) for name in stage.inputs} | ({key("source")} if stage.observe else set())
        assert node.parent_keys == parents


def test_a_check_says_what_a_failure_means_and_what_to_do(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    check = dg.AssetCheckKey(key("table"), "pretty")
    spec = graph.get_check_spec(check)
    assert spec.description == "A failure means: The table is ugly. What to do: Look at it."
    assert not spec.blocking
    assert graph.get_check_spec(dg.AssetCheckKey(key("table"), "usable")).blocking


def test_the_launchpad_shows_description_unit_and_default_of_every_field(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("tiny")
    fields = job.graph.node_named("tiny_model").definition.config_schema.config_type.fields
    assert fields["epochs"].description == "Epochs [epochs]"
    assert fields["epochs"].default_value == 3
    assert not fields["force"].default_value
    assert set(fields) == {*FAMILY["model"].settings.model_fields, "force"}


def test_settings_that_map_parts_to_numbers_pass_through_dagsters_config() -> None:
    stage = dataclasses.replace(FAMILY["model"], settings=TrainingSettings)
    taken: dict[str, dict[str, float]] = {}

    @dg.op(config_schema=config_class(FAMILY, stage).to_config_schema())
    def model(context):  # type: ignore[no-untyped-def]  # Dagster cannot read a postponed annotation
        taken.update(context.op_config)

    @dg.job
    def job() -> None:
        model()

    rates = {"tx_in": 0.001, "layers.*": 0.1}
    assert job.execute_in_process(run_config={"ops": {"model": {"config": {"learning_rates": rates}}}}).success
    assert list(taken["learning_rates"].items()) == list(rates.items())  # the order counts


def test_a_report_says_whether_its_model_became_champion(
    instance: dg.DagsterInstance, store: Store, text: Path
) -> None:
    family = dataclasses.replace(FAMILY, scores=(Score("epochs", higher_is_better=True),))
    job = build_definitions([family]).resolve_job_def("tiny")

    def champion(epochs: int) -> str:
        ops = {"tiny_raw": {"config": {"path": str(text)}}, "tiny_model": {"config": {"epochs": epochs}}}
        return str(value(job.execute_in_process({"ops": ops}, instance=instance), "report", "champion"))

    assert "is champion: there was none before" in champion(1)
    first = champion_of(family, store)
    assert "share none of the figures epochs" in champion(2)
    assert first is not None
    assert champion_of(family, store).fingerprint == first.fingerprint  # type: ignore[union-attr]
