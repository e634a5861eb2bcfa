import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.training.plan import EpochPlan, plan_epochs, windows
from ml_core.training.processes import Processes
from tests.unit.training.toy import ToySamples


@given(population=st.integers(1, 60), seed=st.integers(0, 5), epoch=st.integers(0, 5))
def test_an_epoch_takes_each_sample_once_in_an_order_of_its_own(population, seed, epoch):
    plan = EpochPlan(population, population, seed)
    order = plan.order(epoch)
    assert sorted(order) == list(range(population))
    assert np.array_equal(order, EpochPlan(population, population, seed).order(epoch))


def test_epochs_and_seeds_give_different_orders():
    orders = [tuple(EpochPlan(50, 50, seed).order(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_weights_draw_in_proportion_and_never_a_sample_of_weight_zero():
    weights = np.array([0.0, 1.0, 3.0, 0.0])
    drawn = np.bincount(EpochPlan(4, 40_000, 0, weights).order(0), minlength=4) / 40_000
    assert drawn[[0, 3]].tolist() == [0, 0]
    assert drawn[2] == pytest.approx(0.75, abs=0.01)


def test_samples_per_epoch_shortens_or_repeats_the_set():
    assert len(set(EpochPlan(10, 4, 0).order(0))) == 4
    assert np.bincount(EpochPlan(10, 25, 0).order(0)).tolist().count(3) == 5


def test_samples_may_decide_their_own_order():
    class Backwards(ToySamples):
        def order(self, *, seed, epoch, size):
            return np.arange(size)[::-1]

    assert plan_epochs(Backwards(5), seed=0, samples_per_epoch=None).order(3).tolist() == [4, 3, 2, 1, 0]


def test_an_order_of_the_wrong_length_is_refused():
    class Short(ToySamples):
        def order(self, *, seed, epoch, size):
            return np.arange(size - 1)

    with pytest.raises(UserError, match="expected 5 sample indices, found 4"):
        plan_epochs(Short(5), seed=0, samples_per_epoch=None).order(0)


def test_an_empty_training_set_is_refused():
    with pytest.raises(UserError, match="no samples"):
        plan_epochs(ToySamples(0), seed=0, samples_per_epoch=None)


@pytest.mark.parametrize("weights", [[1.0, 2.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, np.nan, 1.0]])
def test_weights_that_cannot_be_drawn_from_are_refused(weights):
    samples = ToySamples(3)
    samples.weights = np.array(weights)
    with pytest.raises(UserError, match="Sample weights must be 3 finite numbers"):
        plan_epochs(samples, seed=0, samples_per_epoch=None)


@given(size=st.integers(1, 50), window=st.integers(1, 12), batch=st.integers(1, 12), ranks=st.integers(1, 4))
def test_the_ranks_parts_of_a_window_are_the_window(size, window, batch, ranks):
    order = np.random.default_rng(size).permutation(size)
    whole = list(windows(order, start=0, window_size=window, batch_size=batch))
    parts = [
        list(windows(order, start=0, window_size=window, batch_size=batch, share=Processes(rank, ranks).share))
        for rank in range(ranks)
    ]
    for number, expected in enumerate(whole):
        of_ranks = [part[number] for part in parts]
        assert {w.size for w in of_ranks} == {expected.size}
        joined = [i for w in of_ranks for own in w.batches for i in own.tolist()]
        assert joined == np.concatenate(expected.batches).tolist()
        lengths = [sum(map(len, w.batches)) for w in of_ranks]
        assert max(lengths) - min(lengths) <= 1


@given(size=st.integers(1, 50), window=st.integers(1, 12), batch=st.integers(1, 12), done=st.integers(0, 4))
def test_windows_from_any_window_on_are_those_of_the_whole_epoch(size, window, batch, done):
    order = np.arange(size)[::-1]
    whole = [w.batches for w in windows(order, start=0, window_size=window, batch_size=batch)]
    rest = [w.batches for w in windows(order, start=done * window, window_size=window, batch_size=batch)]
    assert [[part.tolist() for part in w] for w in rest] == [[part.tolist() for part in w] for w in whole[done:]]
    assert np.concatenate([part for w in whole for part in w]).tolist() == order.tolist()
    assert all(len(part) <= batch for w in whole for part in w)
