"""EM on mixtures of donors that the reference has not seen."""

from dataclasses import replace

import numpy as np
import pytest

from ml_core.families.tissuebert.baselines import count_regions, nnls_with_unknown, rates
from ml_core.families.tissuebert.em import explain, maximise, step
from ml_core.families.tissuebert.estimator import Estimator, contributions, residual
from ml_core.families.tissuebert.evidence import Reads, expected_states
from ml_core.families.tissuebert.held_out import Donor, held_out
from ml_core.families.tissuebert.likelihoods import fit_likelihoods
from ml_core.families.tissuebert.mixing import mix
from tests.unit.families.tissuebert.planted import plant_atlas, plant_regions

TISSUES, DONORS = 8, 5
TRUTH = np.array([0.7, 0.0, 0.12, 0.08, 0.05, 0.05, 0.0, 0.0])


class Planted:
    """A reference of four donors of each tissue, and one donor more of each."""

    def __init__(self) -> None:
        self.regions = plant_regions(plant_atlas(tissues=TISSUES, markers=12, spread=150), donors=DONORS, depth=60)
        train = np.arange(TISSUES * (DONORS - 1))
        tables = fit_likelihoods(self.regions, train)
        self.how = Estimator(tables, self.regions.regions, "tables", 1.0, 0.01, 0.002)
        tissue = self.regions.tissue_of_sample[train]
        self.rates = rates(count_regions(self.regions, train), tissue, tissues=TISSUES)
        self.donors: list[Donor] = held_out(self.regions, train[-1] + 1 + np.arange(TISSUES), score=None)

    def mixed(self, truth: np.ndarray, *, seed: int, depth: float = 60) -> Reads:
        return mix(self.donors, truth, depth=depth, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.2, 0.3])
def test_the_unknown_share_is_within_two_points(planted: Planted, share: float) -> None:
    found = []
    for lost in (1, 3, 6, 7):
        truth = TRUTH.copy()
        truth[lost] = 0
        truth *= (1 - share) / truth.sum()
        truth[lost] = share
        how = replace(planted.how, tables=planted.how.tables.without(f"tissue {lost}"))
        found.append(how.mixture(how.evidence(planted.mixed(truth, seed=lost))).unknown)
    assert np.mean(found) == pytest.approx(share, abs=0.02)


def test_nnls_with_an_unknown_tissue_sees_a_missing_one_and_none_where_all_are_known(planted: Planted) -> None:
    found = {0.0: [], 0.2: []}
    for share in found:
        for lost in (1, 6, 7):
            truth = TRUTH.copy()
            truth[lost] = 0
            truth *= (1 - share) / truth.sum()
            truth[lost] = share
            tissues = [name for name in planted.how.tables.tissues if name != f"tissue {lost}"]
            states = expected_states(planted.regions.regions, tissues, turned=0.002)
            rate = np.delete(planted.rates, lost, axis=1)
            shares = nnls_with_unknown(rate, states, planted.mixed(truth, seed=lost))
            assert shares.sum() == pytest.approx(1)
            found[share].append(shares[-1])
    assert np.mean(found[0.0]) < 0.02
    assert np.mean(found[0.2]) == pytest.approx(0.2, abs=0.04)


def expected_reads(truth: np.ndarray, *, reads: int, own: float) -> tuple[np.ndarray, np.ndarray]:
    """Likelihoods [kinds, tissues] and weights [kinds, 1] of reads of one kind for each tissue, which come from their
    own tissue with chance `own` and from each other alike, as often as the truth lets expect."""
    count = len(truth)
    likelihood = np.where(np.eye(count) > 0, own, (1 - own) / (count - 1))
    return likelihood, reads * (likelihood @ truth)[:, None]


def test_a_prior_for_few_tissues_leaves_those_that_many_reads_speak_for() -> None:
    truth = np.array([0.9, 0.05, 0.03, 0.02, 0.0, 0.0])
    likelihood, weight = expected_reads(truth, reads=4000, own=0.9)
    found = explain(likelihood, weight, pseudo=np.full(6, 0.05))[0]
    assert found == pytest.approx(truth, abs=0.005)
    assert found[4:].tolist() == [0.0, 0.0]


def test_a_prior_for_few_tissues_takes_from_those_that_hardly_a_read_speaks_for() -> None:
    likelihood, weight = expected_reads(np.array([0.9, 0.05, 0.05]), reads=40, own=0.5)
    few, flat = (explain(likelihood, weight, pseudo=np.full(3, each))[0] for each in (0.05, 1.0))
    assert few[0] > flat[0] + 0.02
    assert few.sum() == pytest.approx(1)


def test_a_step_never_lowers_the_likelihood_and_maximise_ends_where_steps_do() -> None:
    rng = np.random.default_rng(0)
    likelihood, weight = rng.random((200, 4)) ** 3, rng.integers(1, 5, (200, 1)).astype(float)
    x = rng.dirichlet(np.ones(4))[None]
    values = []
    for _ in range(3000):
        values.append(float(weight[:, 0] @ np.log(likelihood @ x[0])))
        x = step(likelihood, weight, x)
    assert (np.diff(values) > -1e-9).all()
    assert maximise(likelihood, weight, tolerance=1e-10)[0] == pytest.approx(x[0], abs=1e-4)


def test_a_foreign_assay_fits_worse_than_a_mixture(planted: Planted) -> None:
    reads = planted.mixed(TRUTH, seed=2)
    shuffled = replace(reads, region=np.random.default_rng(0).permutation(len(planted.rates))[reads.region])
    fits, foreign = (
        residual(planted.how, each, planted.how.mixture(planted.how.evidence(each))) for each in (reads, shuffled)
    )
    assert fits < 2
    assert foreign > 3 * fits


def test_a_tissues_own_markers_contribute_most_to_it(planted: Planted) -> None:
    reads = planted.mixed(TRUTH, seed=3)
    nats = contributions(planted.how, reads, planted.how.mixture(planted.how.evidence(reads)))
    own = np.repeat(np.arange(TISSUES), 12)
    for tissue in np.flatnonzero(TRUTH):
        assert nats[own == tissue, tissue].mean() > nats[own != tissue, tissue].mean()
