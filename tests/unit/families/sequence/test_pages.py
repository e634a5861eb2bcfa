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
