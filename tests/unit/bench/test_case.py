"""What a row says of itself, and how an input grows."""

from __future__ import annotations

import pytest

from ml_core.bench.case import Growth, Reach, Row, Side, failure, without_peer
from ml_core.bench.table import as_markdown, as_text, number
from ml_core.bench.turns import Timed, cheaper, lighter


def timed(name: str, cpu: list[float], *, units: float = 1.0, memory_gb: float | None = None) -> Timed:
    return Timed(name, units, cpu=cpu, wall=cpu, memory_gb=memory_gb)


def test_the_ratio_is_that_of_the_medians() -> None:
    row = cheaper("step", timed("ours", [1.0, 2.0, 9.0]), timed("peer", [3.0, 8.0, 8.0]), least=4)
    assert row.ratio == 4.0
    assert row.reached is True


def test_seconds_are_divided_by_the_units_of_each_side() -> None:
    row = cheaper("rows", timed("ours", [1.0], units=10), timed("peer", [1.0], units=2), least=6)
    assert row.ratio == pytest.approx(5.0)
    assert row.reached is False


def test_memory_that_cannot_be_read_gives_no_row() -> None:
    assert lighter("memory", timed("ours", [1.0]), timed("peer", [1.0]), least=2) is None
    row = lighter("memory", timed("ours", [1.0], memory_gb=0.1), timed("peer", [1.0], memory_gb=0.3), least=2)
    assert row is not None
    assert row.reached is True


@pytest.mark.parametrize(("value", "reached"), [(1.4, True), (1.5, True), (1.6, False)])
def test_a_row_without_a_peer_is_judged_by_its_own_value(value: float, reached: bool) -> None:
    row = Row("start", Side("ours", value), reach=Reach(most=1.5))
    assert row.reached is reached
    assert row.reach_text == "<= 1.5 CPU-s"


def test_a_row_that_nothing_is_asked_of_is_neither_reached_nor_missed() -> None:
    assert Row("for the record", Side("ours", 1.0)).reached is None


def test_a_peer_that_is_not_installed_is_said_and_not_judged() -> None:
    row = without_peer("epoch", reach=Reach(least=2), ours=Side("ours", 1.0))
    assert row.reached is None
    assert "pip install '.[bench]'" in row.note


def test_a_failed_case_is_a_row_that_is_not_reached() -> None:
    row = failure("hgt-epoch", "out of memory")
    assert row.reached is False
    assert "hgt-epoch" in as_text(row)
    assert "out of memory" in as_text(row)


def test_slow_sides_say_how_few_rounds_there_were() -> None:
    assert "1 round only" in cheaper("step", timed("ours", [1.0]), timed("peer", [70.0]), least=4).note


def test_a_table_has_a_line_for_each_row() -> None:
    row = Row("a | b", Side("ours", 1234.5, "rows/s"), Side("peer", 0.0123, "rows/s"), ratio=99_999.0, case="read")
    assert as_markdown([row]).splitlines()[2] == (
        "| read | a / b | ours 1,234 rows/s | peer 0.012 rows/s | 99,999x |  |  |  |"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(1234.6, "1,235"), (99.94, "99.9"), (1.234, "1.23"), (0.0123, "0.012"), (0.0, "0")]
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_growth_multiplies_what_grows_and_keeps_the_rest() -> None:
    growth = Growth(
        "cells", ("graph", "n"), {"raw.cells": 10, "raw.extra": 2}, {"raw": {"genes": 5}, "model": {"a": 1}}
    )
    assert growth.at(4) == {"raw": {"genes": 5, "cells": 40, "extra": 8}, "model": {"a": 1}}
    assert growth.at(1)["raw"]["cells"] == 10
