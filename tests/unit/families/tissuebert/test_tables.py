"""Folds of donors, and what a table of rates tells of the tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.families.tissuebert.likelihoods import RATES, LikelihoodTables
from ml_core.families.tissuebert.tables import WHOLE, deal_folds, information
from tests.unit.families.tissuebert.planted_model import plant


def test_donors_of_a_tissue_are_dealt_evenly_and_an_only_donor_has_no_fold(tmp_path: Path) -> None:
    regions = plant(tmp_path, donors=(1, 2, 4, 6))
    samples = np.arange(12)  # one of the last tissue is not trained on
    fold = deal_folds(regions, samples, folds=2)
    assert fold[0] == WHOLE
    assert fold[12] == WHOLE
    for first, end in ((1, 3), (3, 7)):
        assert np.ptp(np.bincount(fold[first:end], minlength=2)) == 0
    assert np.ptp(np.bincount(fold[7:12], minlength=2)) == 1


def test_alike_tissues_tell_nothing_and_opposite_ones_all_there_is() -> None:
    weights = np.full((2, 2, len(RATES)), 1 / len(RATES))
    weights[1] = np.eye(len(RATES))[[0, -1]]
    told = information(LikelihoodTables(weights, np.ones((2, 2)), ["a", "b"]))
    assert told == pytest.approx([0, np.log(2)], abs=1e-3)
