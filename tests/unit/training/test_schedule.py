import itertools
import math

import pytest
import torch

from ml_core.errors import UserError
from ml_core.training.schedule import build_schedule
from ml_core.training.settings import TrainingSettings


def course(steps, *, beyond=0, **changes):
    schedule = build_schedule(TrainingSettings(**changes), steps=steps)
    return [schedule.at(step) for step in range(steps + beyond)]


def test_onecycle_is_pytorchs_at_every_step_with_the_seeds_values():
    """From 1.6e-5 over 4e-4 to 4e-8."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-4, total_steps=200, pct_start=0.1, div_factor=25, final_div_factor=400, cycle_momentum=False
    )
    expected = []
    for _ in range(200):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step() if len(expected) < 200 else None
    ours = course(200, schedule="onecycle", learning_rate=4e-4)
    assert ours == pytest.approx(expected, rel=1e-12)
    assert (ours[0], max(ours), ours[-1]) == pytest.approx((1.6e-5, 4e-4, 4e-8))


def test_cosine_falls_from_the_peak_to_the_final_rate():
    rates = course(101, schedule="cosine", learning_rate=1e-3, final_learning_rate=1e-6)
    assert (rates[0], rates[50], rates[-1]) == pytest.approx((1e-3, 5.005e-4, 1e-6))
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(("first", "final"), [(1e-2, 1e-6), (1e-6, 1.0)])
def test_exponential_goes_by_the_same_factor_at_each_step_up_or_down(first, final):
    rates = course(101, schedule="exponential", learning_rate=first, final_learning_rate=final)
    assert (rates[0], rates[-1]) == pytest.approx((first, final), rel=1e-12)
    factors = [after / before for before, after in itertools.pairwise(rates)]
    assert factors == pytest.approx([(final / first) ** 0.01] * 100, rel=1e-9)


def test_exponential_cannot_end_at_zero():
    with pytest.raises(UserError, match="it must be above 0 when the schedule is exponential"):
        TrainingSettings.parse({"schedule": "exponential", "final_learning_rate": 0.0}, where="here")


def test_warm_up_does_not_start_at_zero_and_reaches_the_peak():
    rates = course(100, schedule="warmup_cosine", learning_rate=1.0, warmup_fraction=0.1)
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(1e-6)


def test_a_constant_rate_stays():
    assert set(course(5, schedule="constant", learning_rate=0.3)) == {0.3}


@pytest.mark.parametrize("schedule", ["constant", "exponential", "cosine", "warmup_cosine", "onecycle"])
def test_steps_beyond_the_end_keep_the_last_value(schedule):
    rates = course(40, beyond=20, schedule=schedule)
    assert set(rates[39:]) == {rates[39]}


@pytest.mark.parametrize("schedule", ["constant", "exponential", "cosine", "warmup_cosine", "onecycle"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_short_runs_have_a_positive_rate_at_every_step(schedule, steps):
    assert all(0 < rate <= 1e-3 and math.isfinite(rate) for rate in course(steps, schedule=schedule))


def test_a_warm_up_in_steps_is_capped_with_a_warning(caplog):
    rates = course(100, schedule="warmup_cosine", learning_rate=1.0, warmup_steps=10_000)
    assert rates[9] == 1.0
    assert "warm-up of 10000 steps cut to 10" in caplog.text
    assert course(100, schedule="warmup_cosine", learning_rate=1.0, warmup_steps=4)[3] == 1.0


def test_the_rate_scales_linearly_with_the_samples_of_a_step():
    changes = {"schedule": "constant", "learning_rate": 1e-3, "reference_batch_size": 32}
    assert course(1, batch_size=64, accumulate_batches=2, **changes) == pytest.approx([4e-3])
    assert course(1, batch_size=8, **changes) == pytest.approx([2.5e-4])
