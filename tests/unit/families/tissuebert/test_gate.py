"""What the gate lets through, and each reason to refuse."""

import numpy as np
import pandas as pd
import pytest

from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.gate import MARGIN, judge, limits

REGIONS = 100


def reads(regions: int, each: float) -> Reads:
    return Reads(np.arange(regions), np.ones(regions, int), np.full(regions, 4), np.full(regions, each))


def test_a_deep_sample_that_fits_is_reportable() -> None:
    found = judge(reads(90, 10), regions=REGIONS, residual=1.1, unknown=0.02, limit=limits(pd.DataFrame()))
    assert found.reportable
    assert not found.reasons


@pytest.mark.parametrize(
    ("sample", "residual", "unknown", "said"),
    [
        (reads(40, 50), 1.0, 0.0, "40 % of the panel's regions have a read"),
        (reads(90, 2), 1.0, 0.0, "180 reads lie in the panel"),
        (reads(90, 10), 9.0, 0.0, "9.00 times"),
        (reads(90, 10), 1.0, 0.45, "45 % is of no known tissue"),
    ],
)
def test_each_fault_is_refused_for_its_own_reason(sample: Reads, residual: float, unknown: float, said: str) -> None:
    found = judge(sample, regions=REGIONS, residual=residual, unknown=unknown, limit=limits(pd.DataFrame()))
    assert not found.reportable
    assert len(found.reasons) == 1
    assert said in found.reasons[0]


def test_a_sample_without_reads_is_refused() -> None:
    found = judge(reads(0, 1), regions=REGIONS, residual=float("nan"), unknown=0.0, limit=limits(pd.DataFrame()))
    assert len(found.reasons) >= 2


def test_the_residual_limit_is_that_of_held_out_mixtures_counted_once() -> None:
    rows = [
        {"mixtures": "cfdna", "depth": 5, "mixture": number, "tissue": tissue, "residual": 1.0 + number / 100}
        for number in range(101)
        for tissue in range(3)
    ]
    assert limits(pd.DataFrame(rows))["residual"] == pytest.approx(MARGIN * 1.99)
