"""Sides in processes of their own."""

from __future__ import annotations

import pytest

from ml_core.bench.turns import Contender, SideFailed, take_turns
from tests.unit.bench.planted import breaking, counting


def test_sides_run_once_to_warm_up_and_then_each_round() -> None:
    one, two = take_turns([Contender("one", counting, (0,)), Contender("two", counting, (10,), units=2.0)], rounds=3)
    assert one.answers == [0, 1, 2, 3]
    assert two.answers == [10, 11, 12, 13]
    assert len(one.cpu) == len(two.wall) == 3
    assert one.memory_gb is None or one.memory_gb < 0.01


def test_a_side_that_cannot_be_built_is_named() -> None:
    with pytest.raises(SideFailed, match="bad: ValueError: no such thing"):
        take_turns([Contender("bad", breaking)], rounds=1)
