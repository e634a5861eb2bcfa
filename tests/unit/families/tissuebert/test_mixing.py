"""Mixtures: of the donors given only, in the proportions given."""

import numpy as np
import pytest

from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.held_out import Donor, held_out
from ml_core.families.tissuebert.mixing import cfdna, dirichlet, mix, spiked
from tests.unit.families.tissuebert.planted import plant_atlas, plant_regions

TISSUES, DONORS = 4, 3


def marked(held: range, *, depth: float = 20) -> list[Donor]:
    """Donors among `held` samples whose reads' scores are the sample's number."""
    regions = plant_regions(plant_atlas(tissues=TISSUES, markers=5), donors=DONORS, depth=depth)
    number = np.repeat(regions.row_sample[:, None], TISSUES, axis=1)
    # Alike reads of a region are scored once, so that each row's states must tell its sample: PAD places do.
    regions.states[:, 149] = regions.row_sample
    return held_out(regions, np.array(held), score=lambda rows: number[rows])


def test_every_read_is_of_a_held_out_donor_and_in_its_share() -> None:
    held = range(8, 12)
    truth = np.array([0.6, 0.3, 0.0, 0.1])
    reads = mix(marked(held, depth=500), truth, depth=400, rng=np.random.default_rng(0))
    assert reads.scores is not None
    sample = reads.scores[:, 0].astype(int)
    assert set(sample) == {8, 9, 11}
    shares = np.bincount(sample - 8, reads.weight, minlength=4) / reads.total
    assert shares == pytest.approx(truth, abs=0.02)


def test_only_real_reads_of_the_deepest_sample_make_a_donor() -> None:
    regions = plant_regions(plant_atlas(tissues=TISSUES, markers=5), donors=DONORS, depth=20)
    regions.samples.loc[4:7, "donor"] = regions.samples.loc[0:3, "donor"].to_numpy()
    regions.samples.loc[4:7, "coverage"] = 5.0
    regions.samples.loc[8, "kind"] = "counts"
    regions.samples.loc[9, "synthetic"] = True
    found = held_out(regions, np.arange(12), score=None)
    deep = [regions.row_count[regions.rows_of(each)].sum() for each in (0, 1, 2, 3, 10, 11)]
    assert [donor.reads.total for donor in found] == deep


def test_no_read_is_drawn_twice_and_as_many_as_asked_for() -> None:
    donor = marked(range(4), depth=60)[0]
    drawn = donor.thinned(np.full(20, 30.0), rng=np.random.default_rng(0))
    assert drawn.total == pytest.approx(20 * 30, rel=0.1)
    there, taken = (counted(each) for each in (donor.reads, drawn))
    assert all(taken[key] <= there[key] for key in taken)
    everything = donor.thinned(np.full(20, 1e6), rng=np.random.default_rng(0))
    assert counted(everything) == there


def counted(reads: Reads) -> dict[tuple[int, ...], float]:
    keys = np.stack([reads.region, reads.n_meth, reads.n_cov], axis=1).tolist()
    found: dict[tuple[int, ...], float] = {}
    for key, weight in zip(keys, reads.weight.tolist(), strict=True):
        found[tuple(key)] = found.get(tuple(key), 0.0) + weight
    return found


def test_a_donor_with_too_few_reads_makes_the_mixture_shallower_and_no_share_smaller() -> None:
    donors = marked(range(4), depth=30)
    reads = mix(donors, np.array([0.9, 0.1, 0, 0]), depth=1000, rng=np.random.default_rng(0))
    assert reads.scores is not None
    of_first = reads.weight[reads.scores[:, 0] == 0].sum()
    assert of_first == donors[0].reads.total  # all that there is of it
    assert of_first / reads.total == pytest.approx(0.9, abs=0.03)


def test_a_region_that_one_donor_lacks_is_left_out() -> None:
    donors = marked(range(4))
    gone = donors[0].reads.taken(donors[0].reads.region != 7)
    donors[0] = Donor(0, gone, np.bincount(gone.region, gone.weight, minlength=20))
    reads = mix(donors, np.array([0.5, 0.5, 0, 0]), depth=30, rng=np.random.default_rng(0))
    assert set(range(20)) - set(reads.region) == {7}


def test_proportions_are_of_those_there_and_sum_to_one() -> None:
    rng, there = np.random.default_rng(0), np.array([0, 2, 3])
    for _ in range(50):
        blood, mixed = cfdna(there, background=2, tissues=5, rng=rng), dirichlet(there, tissues=5, rng=rng)
        assert blood.sum() == pytest.approx(1)
        assert mixed.sum() == pytest.approx(1)
        assert 0.85 <= blood[2] <= 0.97
        assert not blood[[1, 4]].any()
        assert not mixed[[1, 4]].any()
    assert spiked(1, 0.2, background=0, tissues=3) == pytest.approx([0.8, 0.2, 0])
