"""Every case still measures what it says: a part that it calls may have changed since it was last run."""

from __future__ import annotations

import pytest

from ml_core.bench.command import measure
from ml_core.bench.finding import find_cases


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(find_cases()))
def test_a_case_gives_its_rows_in_small(name: str) -> None:
    rows = measure(find_cases()[name], quick=True)
    assert rows
    assert [row.note for row in rows if row.failed] == []
