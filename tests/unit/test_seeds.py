"""Figures of several seeds: the mean, and Student's interval around it."""

from __future__ import annotations

import pytest

from ml_core import __main__ as shell
from ml_core.seeds import as_markdown, figures


def test_the_interval_is_students() -> None:
    (row,) = figures({0: {"mrr": 1.0}, 1: {"mrr": 2.0}, 2: {"mrr": 3.0}})
    assert row["mean"] == 2.0
    assert row["high"] - 2.0 == pytest.approx(4.302653 / 3**0.5)  # t of 2 degrees of freedom, 97.5 %
    assert row["low"] + row["high"] == pytest.approx(4.0)
    assert "| mrr | 2 | -0.4841 to 4.484 | 1, 2, 3 |" in as_markdown([row])


def test_words_and_missing_figures_have_no_mean() -> None:
    rows = figures({0: {"verdict": "pass", "mrr": 0.5}, 1: {"verdict": "fail", "mrr": None}})
    assert all("mean" not in row for row in rows)
    assert rows[0]["values"] == "pass, fail"


def test_one_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["seeds", "segger", "--seeds", "1", "1"]) == 2
    assert "gives no interval" in capsys.readouterr().err
