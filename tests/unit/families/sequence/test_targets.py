"""Targets go to the network and come back; what cannot be a target is refused in one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.sequence.model_settings import PredictorSettings
from ml_core.families.sequence.targets import CLASSIFICATION, REGRESSION, Target, fit_target

numbers = st.lists(st.floats(0, 100), min_size=3, max_size=20).filter(lambda values: np.std(values) > 1e-3)


@given(numbers, st.sampled_from(["none", "sqrt", "log1p"]))
def test_numbers_come_back_in_their_own_units(values: list[float], transform: str) -> None:
    target = fit_target(pd.Series(values), settings=PredictorSettings(transform=transform))
    np.testing.assert_allclose(target.decode(target.encode(pd.Series(values))), values, rtol=1e-3, atol=1e-3)


def test_the_target_is_standardised_by_what_it_was_fitted_on_only() -> None:
    target = fit_target(pd.Series([0.0, 2.0]), settings=PredictorSettings())
    assert target.kind == REGRESSION
    assert target.encode(pd.Series([0.0, 2.0, 5.0])).tolist() == [-1, 1, 4]


def test_balanced_weights_give_each_class_the_same_sum() -> None:
    values = pd.Series(["a"] * 6 + ["b"] * 2, dtype=object)
    target = fit_target(values, settings=PredictorSettings())
    weights = np.array(target.weights)[target.encode(values)]
    assert target.kind == CLASSIFICATION
    assert weights[:6].sum() == pytest.approx(weights[6:].sum())
    assert weights.mean() == pytest.approx(1)


def test_a_target_survives_json() -> None:
    target = fit_target(pd.Series([0.0, 2.0]), settings=PredictorSettings(transform="sqrt"))
    assert Target(**target.to_json()) == target


@pytest.mark.parametrize(
    ("values", "changes", "sentence"),
    [
        (["a", "a"], {}, "one class only .'a'. among the training samples"),
        (["a", "b"], {"kind": "regression"}, r"holds text \(a, b\), expected numbers for regression"),
        ([1.0, 1.0], {}, "is 1 in all training samples"),
        ([-1.0, 1.0], {"transform": "sqrt"}, "has -1, which sqrt does not take"),
        ([], {}, "no training sample has a value"),
    ],
)
def test_what_cannot_be_learnt_is_refused(values: list[object], changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        fit_target(pd.Series(values), settings=PredictorSettings(**changes))


def test_a_class_that_training_lacks_is_refused() -> None:
    target = fit_target(pd.Series(["a", "b"]), settings=PredictorSettings())
    with pytest.raises(UserError, match="has 'c' outside the training samples only"):
        target.encode(pd.Series(["a", "c"]))


def test_numbers_can_be_classes() -> None:
    target = fit_target(pd.Series([1.0, 2.0, 2.0]), settings=PredictorSettings(kind="classification"))
    assert target.classes == ["1", "2"]
