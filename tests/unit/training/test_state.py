import json
import math
from dataclasses import asdict

import pytest

from ml_core.training.state import TrainState, improved


@pytest.mark.parametrize(
    ("value", "best", "mode", "expected"),
    [
        (math.nan, None, "max", False),
        (math.nan, None, "min", False),
        (math.nan, 0.5, "min", False),
        (math.inf, None, "max", False),
        (-math.inf, 0.5, "min", False),
        (0.0, None, "max", True),
        (0.0, None, "min", True),
        (0.0, -0.1, "max", True),
        (0.1, 0.0, "max", True),
        (0.1, 0.0, "min", False),
        (-0.1, 0.0, "min", True),
        (0.5, 0.5, "max", False),
    ],
)
def test_only_a_finite_value_beyond_the_best_is_an_improvement(value, best, mode, expected):
    assert improved(value, best, mode=mode) is expected


def test_the_state_survives_json_without_loss():
    state = TrainState(schedule_epochs=3, step=7, seconds=0.1 + 0.2, best_loss=1 / 3, loss_sums={"class": 1e-17 / 3})
    assert TrainState(**json.loads(json.dumps(asdict(state)))) == state


def test_mean_losses_leave_out_terms_without_targets():
    state = TrainState(schedule_epochs=1, loss_sums={"a": 6.0, "b": 0.0}, target_counts={"a": 4, "b": 0})
    assert state.mean_losses() == {"a": 1.5}
