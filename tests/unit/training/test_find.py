"""The finders: what they suggest, where they end, and that they leave everything as it was."""

import random

import numpy as np
import pytest
import torch

from ml_core.errors import NotFinite, UserError
from ml_core.training import find
from ml_core.training.find import BatchSizes, RangeTest, Tried, batch_sizes, out_of_memory, range_test
from ml_core.training.find_figures import write_batch_sizes, write_range_test
from ml_core.training.generators import capture_generators
from ml_core.training.interrupt import Interrupted
from ml_core.training.task import Training
from tests.unit.training.toy import ToySamples, ToyTask, flat, toy_settings


def toy_training(task=None, samples=None):
    return Training(task or ToyTask(), samples or ToySamples(), None)


def quick(monkeypatch):
    monkeypatch.setattr(find, "SECONDS", 0.0)


FINDERS = {
    "range": lambda training: range_test(training, toy_settings(), steps=30),
    "diverging": lambda training: range_test(training, toy_settings(), steps=30, low=1e-2, high=1e6),
    "sizes": lambda training: batch_sizes(training, toy_settings(), limit_gb=1e3),
}


@pytest.mark.parametrize("search", FINDERS.values(), ids=FINDERS.keys())
def test_the_model_an_optimizer_and_all_generators_are_bit_equal_afterwards(search, monkeypatch):
    quick(monkeypatch)
    task = ToyTask()
    task.model.train()
    task.model.encoder[0].weight.requires_grad_(False)
    optimizer = torch.optim.AdamW(task.model.parameters())
    task.losses(ToySamples().fetch(np.arange(8), seed=0, epoch=0), task.model)["class"].backward()
    optimizer.step()
    np.random.rand(3), random.random(), torch.rand(2)  # noqa: NPY002, S311 - not at a seed's beginning

    def everything():
        return flat({
            "model": task.model.state_dict(),
            "gradients": [parameter.grad for parameter in task.model.parameters()],
            "trained": [parameter.requires_grad for parameter in task.model.parameters()],
            "modes": [module.training for module in task.model.modules()],
            "optimizer": optimizer.state_dict(),
            "generators": capture_generators(torch.device("cpu")),
        })  # fmt: skip

    before = everything()
    search(toy_training(task))
    assert everything() == before


def test_the_rate_rises_by_the_same_factor_from_the_first_to_the_last_step():
    found = range_test(toy_training(), toy_settings(), steps=25, low=1e-5, high=1e-2)
    assert found.ended == "all 25 steps are done"
    assert len(found.rates) == len(found.losses) == len(found.smooth) == 25
    assert (found.rates[0], found.rates[-1]) == pytest.approx((1e-5, 1e-2), rel=1e-9)
    assert np.diff(np.log(found.rates)) == pytest.approx([np.log(1e3) / 24] * 24, rel=1e-9)


def test_the_losses_are_those_of_a_training_with_that_schedule(tmp_path):
    from tests.unit.training.toy import Kept, toy_fit

    task, kept = ToyTask(), Kept()
    found = range_test(toy_training(task), toy_settings(), steps=30, low=1e-5, high=1e-2)
    changes = {"schedule": "exponential", "learning_rate": 1e-5, "final_learning_rate": 1e-2, "max_epochs": 3}
    toy_fit(tmp_path, task=task, arguments={"recorder": kept}, **changes)
    whole = [i for i, row in enumerate(kept.steps) if "value_loss" in row]  # windows in which no term is missing
    assert 10 < len(whole) < 30
    assert found.losses[whole].tolist() == pytest.approx([kept.steps[i]["loss"] for i in whole], rel=1e-12)
    assert found.rates.tolist() == pytest.approx([row["learning_rate"] for row in kept.steps], rel=1e-12)


def test_a_diverging_loss_ends_the_test_long_before_its_last_step():
    settings = toy_settings(batch_size=20)
    found = range_test(toy_training(ToyTask(dropout=0.0, norm=False)), settings, steps=100, low=1e-5, high=1e9)
    assert found.ended in ("the loss diverged", "the loss is not finite")
    assert 20 < len(found.rates) < 80
    assert found.steepest is not None
    assert found.steepest < found.lowest < found.rates[-1]


def test_a_loss_that_is_not_finite_from_the_beginning_is_an_error():
    samples = ToySamples()
    samples.features[:] = np.nan
    with pytest.raises(NotFinite, match="The loss is not finite at step 1 "):
        range_test(toy_training(samples=samples), toy_settings())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"low": 0.1, "high": 0.1}, "cannot rise from 0.1 to 0.1; give 0 < from < to"),
        ({"low": 0.0}, "cannot rise from 0 to 1"),
        ({"steps": 5}, "5 steps are too few to see a slope; give at least 20"),
    ],
)
def test_a_range_that_shows_nothing_is_refused(arguments, said):
    with pytest.raises(UserError, match=said):
        range_test(toy_training(), toy_settings(), **arguments)


def made_up(course):
    rates = np.logspace(-5, 0, 101)
    losses = course(np.log10(rates))
    return RangeTest(rates, losses, find._centred(losses), "")


def test_the_steepest_point_and_the_lowest_are_found_under_noise():
    noise = np.random.default_rng(0).normal(0, 0.02, 101)

    def falls_at_minus_3_and_rises_after_minus_1(x):
        return 2 - 1 / (1 + np.exp(-5 * (x + 3))) + 10 * np.maximum(x + 1, 0) ** 2 + noise

    found = made_up(falls_at_minus_3_and_rises_after_minus_1)
    assert np.log10(found.steepest) == pytest.approx(-3, abs=0.12)
    assert -2.4 < np.log10(found.lowest) < -0.9


@pytest.mark.parametrize("course", [lambda x: 1 + 0 * x, lambda x: np.exp(x), lambda x: np.sin(1e4 * x)])
def test_where_the_loss_never_falls_nothing_is_suggested(course):
    found = made_up(course)
    assert (found.lowest, found.steepest) == (None, None)


def test_a_term_that_a_window_lacks_counts_with_its_value_before():
    course = find._Course(9, {"ring": 2.0})
    for losses in ({"gene": -1.0}, {"gene": -2.0, "ring": 5.0}, {"ring": 4.0}, {"gene": -3.0}):
        row = {f"{term}_loss": value for term, value in losses.items()}
        course.step({"learning_rate": 1.0, "loss": 99.0, "running_loss": 99.0, **row})
    assert course.losses().tolist() == [9.0, 8.0, 6.0, 5.0]


@pytest.mark.parametrize(
    ("losses", "diverged"),
    [
        ([4.0] * 20, False),
        ([1.0] * 20 + [3.0] * 40, False),
        ([1.0] * 20 + [6.0] * 40, True),
        ([1.0, -1.0] * 20, False),
        ([-1.0] * 20 + [1.5] * 40, False),
        ([-1.0] * 20 + [3.0] * 40, True),
        ([10.0] * 10 + [0.0] * 90 + [1.0] * 20, False),  # near zero, four times nothing is still nothing
    ],
)
def test_divergence_is_four_times_the_best_wherever_zero_lies(losses, diverged):
    assert find._diverged(np.array(losses)) == diverged


# ---------------------------------------------------------------- batch sizes


class Runs(ToyTask):
    """Remembers the sizes of the batches it saw, and is out of memory from a size on."""

    sizes: list[int] = []  # noqa: RUF012 - shared with the copies that are trained

    def __init__(self, limit=10**6, error=None):
        super().__init__()
        self.limit, self.error = limit, error
        Runs.sizes = []

    def losses(self, batch, forward):
        Runs.sizes.append(len(batch["classes"]))
        if len(batch["classes"]) >= self.limit:
            raise self.error
        return super().losses(batch, forward)


def test_sizes_double_until_the_training_samples_are_exhausted(monkeypatch):
    quick(monkeypatch)
    found = batch_sizes(toy_training(Runs()), toy_settings(), limit_gb=1e3)
    assert [each.batch_size for each in found.tried] == [2, 4, 8, 16, 32]
    assert found.ended == "the 40 training samples are exhausted"
    assert sorted(set(Runs.sizes)) == [2, 4, 8, 16, 32]  # no short batch disturbs a speed
    assert all(each.samples_per_second > 0 and each.memory_gb > 0 for each in found.tried)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["cuda", "mps", "cpu", "python"],
)
def test_the_last_size_before_memory_is_exhausted_is_the_largest(error, monkeypatch):
    quick(monkeypatch)
    found = batch_sizes(toy_training(Runs(8, error)), toy_settings(), limit_gb=1e3)
    assert found.largest.batch_size == 4
    assert found.ended == "8 is out of memory"
    with pytest.raises(UserError, match=r"Not even batch_size 2 fits \(2 is out of memory\)"):
        batch_sizes(toy_training(Runs(2, error)), toy_settings(), limit_gb=1e3)


def test_another_error_is_not_taken_for_a_full_memory(monkeypatch):
    quick(monkeypatch)
    with pytest.raises(RuntimeError, match="planted"):
        batch_sizes(toy_training(Runs(8, RuntimeError("planted"))), toy_settings(), limit_gb=1e3)


def test_memory_that_runs_out_is_seen_behind_the_error_that_it_caused():
    advice = UserError("Take a smaller batch_size.")
    advice.__cause__ = MemoryError()
    assert out_of_memory(advice)
    assert not out_of_memory(UserError("Take a smaller batch_size."))


@pytest.mark.parametrize(("limit", "sizes", "said"), [(5.0, [2, 4], "about 8.0 GB"), (0.9, [], "2 takes 2.0 GB")])
def test_a_size_over_the_limit_is_not_tried(limit, sizes, said, monkeypatch):
    """With a faked memory of 1 GB a sample."""
    quick(monkeypatch)
    monkeypatch.setattr(find, "memory_gb", lambda device: float(Runs.sizes[-1]))
    search = lambda: batch_sizes(toy_training(Runs()), toy_settings(), limit_gb=limit)  # noqa: E731
    if sizes:
        found = search()
        assert ([each.batch_size for each in found.tried], max(Runs.sizes)) == (sizes, sizes[-1])
        assert said in found.ended
    else:
        with pytest.raises(UserError, match=said):
            search()


def test_the_largest_and_the_fastest_size_are_named():
    tried = [Tried(1, 5.0, 1.0), Tried(2, 9.0, 1.5), Tried(4, 8.0, 2.5)]
    found = BatchSizes(tried, "", None, "cpu")
    assert (found.largest, found.fastest) == (tried[2], tried[1])


def test_ctrl_c_is_not_taken_for_the_end_of_a_search(monkeypatch):
    def stopped(*_, **__):
        raise Interrupted("SIGINT", None)

    monkeypatch.setattr(find, "fit", stopped)
    with pytest.raises(KeyboardInterrupt, match="SIGINT"):
        range_test(toy_training(), toy_settings())


def test_table_and_figure_are_written_also_where_nothing_is_suggested(tmp_path):
    for name, course in {"falls": lambda x: -x, "never": lambda x: x}.items():
        write_range_test(made_up(course), tmp_path / name / "rate")
        rows = np.genfromtxt(tmp_path / name / "rate.csv", delimiter=",", names=True)
        assert rows["learning_rate"] == pytest.approx(np.logspace(-5, 0, 101))
        assert rows["loss"] == pytest.approx(course(np.linspace(-5, 0, 101)))
        assert (tmp_path / name / "rate.png").read_bytes()[:4] == b"\x89PNG"
    write_batch_sizes(BatchSizes([Tried(1, 5.0, 1.0)], "done", 2.0, "cpu"), tmp_path / "size")
    assert (tmp_path / "size.csv").read_text().split() == ["batch_size,samples_per_second,memory_gb", "1,5.0,1.0"]
    assert (tmp_path / "size.png").read_bytes()[:4] == b"\x89PNG"
