import numpy as np
import pytest
import torch

from ml_core.data.loader import Loader


class Numbers:
    def fetch(self, indices, *, seed, epoch):
        return torch.from_numpy(indices) + 1000 * epoch + 100_000 * seed


ORDER = [np.array([3, 1]), np.array([4]), np.array([1, 5, 9])]


@pytest.fixture(params=[(0, False), (2, False), (2, True)], ids=["in-process", "workers", "persistent-workers"])
def loader(request):
    workers, persistent = request.param
    return Loader(Numbers(), seed=2, num_workers=workers, persistent_workers=persistent)


def test_batches_come_in_order_with_seed_and_epoch_in_every_epoch(loader):
    for epoch in (0, 7):
        got = [batch.tolist() for batch in loader.batches(ORDER, epoch=epoch)]
        assert got == [[200_000 + 1000 * epoch + int(i) for i in indices] for indices in ORDER]


def test_fetching_draws_nothing_from_the_global_generator(loader):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    list(loader.batches(ORDER, epoch=0))
    assert torch.equal(torch.rand(3), expected)


def test_an_epoch_without_batches_is_empty(loader):
    assert list(loader.batches([], epoch=0)) == []
