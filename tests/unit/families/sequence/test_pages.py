"""The report's first line."""

import pytest

from ml_core.families.sequence.pages import headline
from ml_core.summary import Summary


def summary(**changes: float) -> Summary:
    numbers = {
        "test.mae": 2.0,
        "baseline.random_forest.mae": 3.0,
        "baseline.median.mae": 6.0,
        "pretrain.masked_accuracy": 0.97,
        "baseline.nearest_asv.masked_accuracy": 0.96,
        "pretrain.unifrac_r2": 0.85,
    }
    return Summary(numbers=numbers | {name.replace("__", "."): value for name, value in changes.items()})


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, "The model is best at month"),
        ({"test__mae": 3.5}, "A baseline, random forest, is best at month"),
        ({"pretrain__masked_accuracy": 0.93}, "A baseline, the nearest ASV, names most hidden nucleotides"),
        ({"test__mae": float("nan")}, "A baseline, random forest, is best at month"),
    ],
)
def test_a_baseline_that_wins_stands_first(changes: dict[str, float], first: str) -> None:
    found = headline(summary(**changes), column="month", metric="mae")
    assert found.startswith(first)
    assert "R2 0.85" in found


@pytest.mark.parametrize(
    ("mae", "low", "high", "first"),
    [
        (2.0, 0.2, 1.5, "The model is best at month, by mae"),
        (2.0, -0.2, 1.5, "The model is ahead at month by less than can be told from chance, by mae"),
        (3.5, -1.5, -0.2, "A baseline, random forest, is best at month, by mae"),
        (3.5, -1.5, 0.2, "A baseline, random forest, is ahead at month by less than can be told from chance, by mae"),
    ],
)
def test_a_lead_whose_interval_holds_nothing_is_no_victory(mae: float, low: float, high: float, first: str) -> None:
    known = summary(
        test__mae=mae, test__mae_lead_on_random_forest_low=low, test__mae_lead_on_random_forest_high=high,
        test__mae_lead_on_median_low=1.0, test__mae_lead_on_median_high=2.0,
    )  # fmt: skip
    found = headline(known, column="month", metric="mae")
    assert found.startswith(first)
    assert ("95 % interval of the model's lead" in found) == (low < 0 < high)
