"""Who wins what, and that a winning baseline stands first."""

from __future__ import annotations

import pytest

from ml_core.families.tissuebert.pages import headline
from ml_core.families.tissuebert.verdict import lost, tied
from ml_core.summary import Summary

NUMBERS = {
    "test.samples": 30,
    "test.sample_accuracy": 0.99,
    "baseline.logistic.sample_accuracy": 0.98,
    "baseline.naive_bayes.sample_accuracy": 0.99,
    "test.reads_200.sample_accuracy": 0.97,
    "baseline.logistic.reads_200.sample_accuracy": 0.9,
    "baseline.naive_bayes.reads_200.sample_accuracy": 0.95,
    "mixtures.depth_5.mae": 0.007,
    "mixtures.dirichlet.depth_5.mae": 0.9,
    "baseline.nnls.depth_5.mae": 0.008,
    "baseline.em.depth_5.mae": 0.009,
}
OF_READS = {
    "test.read_accuracy": 0.92,
    "baseline.logistic.read_accuracy": 0.925,
    "test.read_accuracy_lead_se": 0.007,
    "test.read_accuracy_se": 0.011,
    "test.read_auc": 0.94,
    "test.read_auc_lead": 0.01,
    "baseline.logistic.read_auc": 0.93,
}


def test_a_tie_is_no_loss() -> None:
    assert lost(NUMBERS) == []
    assert headline(Summary(numbers=dict(NUMBERS)), given=False).startswith("The model names 99.0 % of 30 samples")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline.logistic.sample_accuracy": 1.0}, "logistic regression at samples (1, the model 0.99)"),
        ({"test.reads_200.sample_accuracy": 0.94}, "naive Bayes at samples of 200 reads (0.95, the model 0.94)"),
        ({"mixtures.depth_5.mae": 0.0085}, "NNLS at mixtures of depth 5 (0.008, the model 0.0085)"),
        ({"baseline.em.depth_5.mae": 0.001}, "EM at mixtures of depth 5 (0.001, the model 0.007)"),
    ],
)
def test_a_winning_baseline_stands_first(changes: dict[str, float], said: str) -> None:
    found = headline(Summary(numbers=NUMBERS | changes), given=False)
    assert found.startswith(f"A baseline is better: {said}.")


def test_what_was_not_measured_is_not_compared() -> None:
    assert lost(NUMBERS | {"mixtures.depth_5.mae": None, "baseline.nnls.depth_5.mae": 0.0}) == []
    assert lost(NUMBERS | {"test.sample_accuracy": float("nan")}) == []


def test_tables_of_reads_are_compared_by_read_and_a_lead_within_twice_its_error_is_a_tie() -> None:
    close = NUMBERS | OF_READS | {"mixtures.depth_5.mae": 1.0}
    found = headline(Summary(numbers=close), given=True)
    assert found.startswith(
        "A baseline is ahead by less than can be told from chance: logistic regression at single reads (0.925, the "
        "model 0.92, standard error of the difference 0.007)."
    )
    assert "NNLS" not in found
    assert lost(close) == []
    far = NUMBERS | OF_READS | {"test.read_accuracy": 0.9}
    assert headline(Summary(numbers=far), given=True).startswith("A baseline is better: logistic regression at single")
    assert tied(far) == []


@pytest.mark.parametrize("what", ["region", "read"])
def test_regions_and_reads_of_new_donors_are_compared_with_naive_bayes(what: str) -> None:
    of_it = {f"test.{what}_accuracy": 0.118, f"baseline.naive_bayes.{what}_accuracy": 0.121}
    unsure = headline(Summary(numbers=NUMBERS | of_it | {f"test.{what}_accuracy_lead_se": 0.002}), given=False)
    assert unsure.startswith(f"A baseline is ahead by less than can be told from chance: naive Bayes at single {what}s")
    assert "No baseline is better" not in unsure
    sure = headline(Summary(numbers=NUMBERS | of_it | {f"test.{what}_accuracy_lead_se": 0.001}), given=False)
    assert sure.startswith(f"A baseline is better: naive Bayes at single {what}s (0.121, the model 0.118")
