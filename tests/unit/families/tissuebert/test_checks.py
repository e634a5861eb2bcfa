"""Planted faults are found: a state beside a CpG, and a copy of a sample in another split, at whatever coverage."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.families.tissuebert.checks import Likeness, misplaced, near_duplicates, region_counts
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.hdf5_writer import RegionsWriter
from ml_core.families.tissuebert.samples import read_sample
from tests.unit.families.tissuebert.small_panel import BED3, panel_of, pat


def small_regions(folder: Path, **settings: object) -> Regions:
    panel = panel_of(
        folder, bed=BED3 if settings.get("sequence_source", "fasta") == "fasta" else None or BED3, **settings
    )
    path = folder / "regions.h5"
    with RegionsWriter(
        path,
        dna_tokens=panel.dna_tokens,
        cpg_position=panel.cpg_position,
        n_cpg=panel.n_cpg,
        regions=panel.regions,
        tissues=panel.tissues,
        build="b",
        sequence_source=panel.sequence_source,
        panel_digest=panel.digest,
    ) as writer:
        for name, row in (("a", "chr1\t1\tCCCT\t2"), ("b", "chr2\t12\tTTC.T\t3")):
            writer.start_sample(name=name, donor=name, tissue="liver", coverage=1.0)
            writer.append(read_sample(pat(folder / f"{name}.pat.gz", row), panel=panel, min_observed=1))
    return open_regions(path)


def test_states_at_cpgs_pass_and_a_single_one_beside_is_found(tmp_path: Path) -> None:
    regions = small_regions(tmp_path)
    assert misplaced(regions) == 0
    for state in (0, 1, 3):
        states = np.array(regions.states)
        place = int(regions.cpg_position[regions.row_region[1], 0])
        states[1, place + 1] = state
        assert misplaced(dataclasses.replace(regions, states=states)) == 1


def test_a_state_at_another_cpg_of_the_window_is_found(tmp_path: Path) -> None:
    regions = small_regions(tmp_path)
    fewer = np.array(regions.cpg_position)
    fewer[regions.row_region[0], 0] = 255  # the window has this CpG, the region does not
    assert misplaced(dataclasses.replace(regions, cpg_position=fewer)) == 1


def test_counts_are_summed_over_alike_reads(tmp_path: Path) -> None:
    regions = small_regions(tmp_path)
    meth, cov = region_counts(regions)
    assert meth.tolist() == [[4, 0, 0], [0, 0, 3]]
    assert cov.tolist() == [[6, 0, 0], [0, 0, 12]]


def cohort(
    *, depth: float, regions: int = 200, donors: int = 12, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Counts of donors that vary about their tissue in each region."""
    rng = np.random.default_rng(seed)
    tissue = np.repeat(["liver", "lung"], donors // 2)
    base = rng.beta(0.7, 0.7, (2, regions)).clip(0.02, 0.98)
    own = base[np.repeat([0, 1], donors // 2)]
    chance = rng.beta(own * 40, (1 - own) * 40)
    cov = rng.poisson(depth, chance.shape)
    meth = rng.binomial(cov, chance)
    names = [f"s{number}" for number in range(donors)]
    return meth.astype(float), cov.astype(float), pd.DataFrame({"name": names, "tissue": tissue})


def with_copy(share: float, *, depth: float, of: int = 2, seed: int = 0, regions: int = 200) -> Likeness:
    """The cohort with a part of one sample's reads as a further sample, of another split."""
    meth, cov, samples = cohort(depth=depth, seed=seed, regions=regions)
    rng = np.random.default_rng(seed + 1)
    more_meth = rng.binomial(meth[of].astype(int), share)
    more_cov = more_meth + rng.binomial((cov - meth)[of].astype(int), share)
    samples = pd.concat([samples, samples.iloc[[of]].assign(name="copy")], ignore_index=True)
    return near_duplicates(
        np.vstack([meth, more_meth]),
        np.vstack([cov, more_cov]),
        samples=samples,
        part=np.array([0] * 12 + [2]),
        threshold=0.45,
    )


@pytest.mark.parametrize("depth", [10.0, 60.0])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_copy_in_another_split_is_found_and_nothing_else(depth: float, share: float) -> None:
    for seed in range(5):
        found = with_copy(share, depth=depth, seed=seed)
        assert [pair[:2] for pair in found.copies] == [("s2", "copy")]
        assert (found.compared, found.too_few) == (12, 0)


def test_independent_donors_are_no_copies() -> None:
    for seed in range(10):
        meth, cov, samples = cohort(depth=10, seed=seed)
        found = near_duplicates(meth, cov, samples=samples, part=np.arange(12) % 3, threshold=0.45)
        assert found.copies == []
        assert found.compared == 48


def test_a_copy_within_its_split_is_none_and_unknown_samples_are_in_none() -> None:
    meth, cov, samples = cohort(depth=20)
    meth[3], cov[3] = meth[2], cov[2]
    for part in (np.zeros(12), np.array([0, 0, 0, -1] + [1] * 8)):
        assert near_duplicates(meth, cov, samples=samples, part=part, threshold=0.45).copies == []


def test_with_few_regions_in_common_nothing_is_claimed() -> None:
    found = with_copy(1.0, depth=10, regions=20)
    assert (found.copies, found.compared, found.too_few) == ([], 0, 12)
