import subprocess
import sys

import pytest

from ml_core.errors import UserError
from ml_core.settings import setting
from ml_core.training.settings import TrainingSettings


def test_importing_the_settings_does_not_import_torch():
    script = "import sys, ml_core.training.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_family_inherits_them_and_adds_its_own():
    class ModelSettings(TrainingSettings):
        hidden_channels: int = setting(64, description="Width of the hidden layers", unit="channels", ge=1)

    settings = ModelSettings.parse({"hidden_channels": 8, "max_epochs": 3}, where="test")
    assert (settings.hidden_channels, settings.max_epochs) == (8, 3)
    assert settings.fingerprint() != ModelSettings().fingerprint()


def test_every_field_is_described_and_of_a_type_that_dagster_takes():
    for name, field in TrainingSettings.model_fields.items():
        assert field.description, name
        assert not any(word in str(field.annotation) for word in ("tuple", "Path")), name


def test_they_make_a_dagster_config():
    dagster = pytest.importorskip("dagster")
    config = type("ModelConfig", (TrainingSettings, dagster.Config), {})

    @dagster.asset
    def model(config: config) -> dagster.MaterializeResult:
        return dagster.MaterializeResult(
            metadata={"window": config.window_size, "frozen": str(config.frozen), "rates": str(config.learning_rates)}
        )

    values = {"batch_size": 8, "frozen": ["encoder"], "clip_norm": None, "learning_rates": {"encoder.*": 0.1}}
    run_config = {"ops": {"model": {"config": values}}}
    with dagster.DagsterInstance.ephemeral() as instance:
        result = dagster.materialize([model], run_config=run_config, instance=instance)
    metadata = result.asset_materializations_for_node("model")[0].metadata
    assert (metadata["window"].value, metadata["frozen"].value) == (8, "['encoder']")
    assert metadata["rates"].value == "{'encoder.*': 0.1}"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"max_epochs": 0}, "field 'max_epochs' is 0"),
        ({"beta2": 1.0}, "field 'beta2' is 1.0"),
        ({"learning_rate": 1e-4, "final_learning_rate": 1e-3}, "must not be above learning_rate \\(0.0001\\)"),
        (
            {"monitor": "val_loss", "monitor_mode": "max"},
            "with monitor val_loss it would keep the worst model; use min",
        ),
        ({"frozen": ["encoder", " "]}, "each entry must name a module or parameter"),
        ({"schedule": "linear"}, "field 'schedule' is 'linear'"),
        ({"learning_rat": 1.0}, "unknown field 'learning_rat'"),
    ],
)
def test_values_that_cannot_be_are_one_sentence(values, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        TrainingSettings.parse(values, where="configs/x.yaml: segger_model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("schedule", ["constant", "onecycle"])
def test_schedules_without_a_final_rate_take_any_learning_rate(schedule):
    assert TrainingSettings(schedule=schedule, learning_rate=1e-8).learning_rate == 1e-8


def test_fields_that_change_only_speed_and_logs_stay_out_of_the_fingerprint():
    expected = TrainingSettings().fingerprint()
    for change in ({"num_workers": 4}, {"device": "cpu"}, {"keep_top": 1}, {"log_every_steps": 1}, {"threads": 1}):
        assert TrainingSettings(**change).fingerprint() == expected
    for change in ({"batch_size": 4}, {"seed": 1}, {"precision": "bf16"}, {"frozen": ["x"]}, {"clip_norm": None}):
        assert TrainingSettings(**change).fingerprint() != expected
