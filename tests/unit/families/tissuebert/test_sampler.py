"""Tissues, and files within a tissue, are drawn alike often; any bag can be drawn again by its number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.sampler import BalancedSampler
from tests.unit.families.tissuebert.planted_model import MARKERS, REGIONS, plant

DRAWS = 4000


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    """Tissues of one, two, three and six files."""
    return plant(tmp_path_factory.mktemp("uneven"), donors=(1, 2, 3, 6))


def test_tissues_and_their_files_are_drawn_alike_often(uneven: Regions) -> None:
    sampler = BalancedSampler(uneven, np.arange(12))
    sample, _ = sampler.draw(np.arange(DRAWS), reads=2, seed=0, epoch=0)
    of_tissue = np.bincount(uneven.tissue_of_sample[sample], minlength=4) / DRAWS
    assert of_tissue == pytest.approx(np.full(4, 0.25), abs=0.03)
    wanted = 0.25 / np.repeat([1, 2, 3, 6], [1, 2, 3, 6])
    assert np.bincount(sample, minlength=12) / DRAWS == pytest.approx(wanted, abs=0.03)


def test_reads_are_of_the_drawn_file_and_regions_alike_often_whatever_their_depth(uneven: Regions) -> None:
    sampler = BalancedSampler(uneven, np.array([0]))  # 20 regions at a Poisson depth of 6
    sample, rows = sampler.draw(np.arange(DRAWS), reads=8, seed=1, epoch=0)
    assert (uneven.row_sample[rows] == sample[:, None]).all()
    region = uneven.row_region[rows].ravel()
    covered = np.unique(uneven.row_region[uneven.rows_of(0)])
    share = np.bincount(region, minlength=REGIONS)[covered] / region.size
    assert share == pytest.approx(np.full(len(covered), 1 / len(covered)), abs=0.008)


def test_regions_are_drawn_by_their_weights(uneven: Regions) -> None:
    weights = np.zeros(REGIONS)
    weights[:MARKERS] = [1, 1, 1, 1, 4]
    _, rows = BalancedSampler(uneven, np.arange(12), weights=weights).draw(np.arange(DRAWS), reads=4, seed=0, epoch=0)
    share = np.bincount(uneven.row_region[rows].ravel(), minlength=REGIONS) / rows.size
    assert share[MARKERS:].sum() == 0
    assert share[MARKERS - 1] == pytest.approx(0.5, abs=0.03)


def test_any_part_of_an_epoch_is_drawn_again_exactly_by_another_sampler(uneven: Regions) -> None:
    one, other = (BalancedSampler(uneven, np.arange(12)) for _ in range(2))
    whole = one.draw(np.arange(60), reads=3, seed=5, epoch=2)
    part = other.draw(np.arange(37, 60), reads=3, seed=5, epoch=2)
    assert np.array_equal(whole[0][37:], part[0])
    assert np.array_equal(whole[1][37:], part[1])
    assert not np.array_equal(whole[1], one.draw(np.arange(60), reads=3, seed=5, epoch=3)[1])
    assert not np.array_equal(whole[1], one.draw(np.arange(60), reads=3, seed=6, epoch=2)[1])


def test_without_a_sample_to_draw_from_one_sentence_names_the_file(tmp_path: Path) -> None:
    regions = plant(tmp_path, depth=0.0)
    with pytest.raises(UserError, match=r"regions\.h5: no training sample has reads"):
        BalancedSampler(regions, np.arange(3))
