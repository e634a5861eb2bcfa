"""The headline says who wins, the baseline first where it does, and calls a tie a tie."""

from __future__ import annotations

import pytest

from ml_core.families.segger import pages
from ml_core.summary import Number, Summary


def headline(**numbers: Number) -> str:
    return pages.headline(Summary(numbers={name.replace("__", "."): value for name, value in numbers.items()}))


def test_the_baseline_comes_first_where_it_wins() -> None:
    said = headline(
        ring__top1=0.95,
        baseline__nearest_polygon__ring__top1=0.96,
        baseline__nearest_centroid__ring__top1=0.91,
        biology__mecr_at_95=0.02,
        baseline__likelihood__biology__mecr_at_95=0.03,
    )
    assert said == (
        "Nearest nucleus wins the ring test's top-1 (0.95 is ours, against 0.96). "
        "Segger is better than every baseline in MECR at 95 % assigned (0.02 against 0.03)."
    )


def test_more_is_better_in_top1_and_less_in_mecr() -> None:
    assert headline(ring__top1=0.9, baseline__likelihood__ring__top1=0.8).startswith("Segger is better")
    assert headline(biology__mecr_at_95=0.9, baseline__likelihood__biology__mecr_at_95=0.8).startswith(
        "Likelihood wins"
    )


def test_the_best_of_the_baselines_is_the_one_to_beat() -> None:
    said = headline(
        truth__transcript_accuracy=0.93,
        baseline__nearest_polygon__truth__transcript_accuracy=0.90,
        baseline__nearest_centroid__truth__transcript_accuracy=0.97,
    )
    assert said.startswith("Nearest centroid wins accuracy on simulated truth (0.93 is ours, against 0.97)")


@pytest.mark.parametrize("theirs", [1.0, 0.99999])
def test_what_looks_equal_is_a_tie_and_no_victory(theirs: float) -> None:
    said = headline(ring__top1=1.0, baseline__nearest_polygon__ring__top1=theirs)
    assert said == "Segger is as good as the best baseline in the ring test's top-1 (1 against 1)."


@pytest.mark.parametrize(
    ("low", "high", "tied"), [(-0.004, 0.011, True), (0.001, 0.011, False), (float("nan"), float("nan"), False)]
)
def test_a_difference_whose_interval_holds_nothing_is_a_tie(low: float, high: float, tied: bool) -> None:
    said = headline(
        ring__top1=0.9679,
        baseline__likelihood__ring__top1=0.9647,
        ring__top1_gain_on_likelihood_low=low,
        ring__top1_gain_on_likelihood_high=high,
    )
    shown = "(0.9679 against 0.9647; 95 % interval of the difference -0.004 to 0.011)"
    assert said.endswith(f"as good as the best baseline in the ring test's top-1 {shown}.") == tied
    assert said.startswith("Segger is better") != tied


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_what_was_not_measured_is_compared_with_nothing(nothing: float | None) -> None:
    assert headline(ring__top1=nothing, baseline__nearest_polygon__ring__top1=0.9) == "Nothing could be compared."
    assert headline(ring__top1=0.9, baseline__nearest_polygon__ring__top1=nothing) == "Nothing could be compared."
    said = headline(
        ring__top1=0.9, baseline__nearest_polygon__ring__top1=nothing, baseline__nearest_centroid__ring__top1=0.95
    )
    assert said.startswith("Nearest centroid wins")


def test_key_figures_stand_beside_their_baselines_and_say_which_are_good() -> None:
    numbers: dict[str, Number] = {
        "ring.top1": 0.95,
        "baseline.nearest_polygon.ring.top1": 0.96,
        "biology.mecr_at_95": 0.02,
        "baseline.nearest_polygon.biology.mecr_at_95": 0.03,
        "baseline.likelihood.biology.mecr_at_95": float("nan"),
        "truth.cell_f1": float("nan"),
        "predictions.share_assigned": 0.95,
        "predictions.cells": 1200,
    }
    found = {figure.label: figure for figure in pages.key_figures(Summary(numbers=numbers))}
    ends = {"low": -0.02, "high": 0.01}
    assert found["Ring test, top-1"].good is False
    assert found["Ring test, top-1"].context == "nearest nucleus 0.96"
    assert found["MECR at 95 %"].good is True
    close = numbers | {f"biology.mecr_at_95_gain_on_nearest_polygon_{end}": gain for end, gain in ends.items()}
    found_close = {figure.label: figure for figure in pages.key_figures(Summary(numbers=close))}
    assert found_close["MECR at 95 %"].good is None
    assert "Cells found, F1" not in found
    assert found["Transcripts assigned"].value == "95.0%"
    assert found["Transcripts assigned"].context == "to 1,200 cells"
