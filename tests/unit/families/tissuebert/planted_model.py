"""A regions.h5 whose truth is known: each tissue has marker regions in which its reads alone are unmethylated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.donors import DonorSplits
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.hdf5_writer import RegionsWriter, Rows
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.tokens import METHYLATED, NO_CPG, NOT_OBSERVED, tokenize

TISSUES, MARKERS, CPGS, DONORS = 4, 5, 5, 5
REGIONS = TISSUES * MARKERS
POSITIONS = np.array([3, 20, 60, 100, 148])
IN_MARKER, ELSEWHERE = 0.35, 0.9  # chance that a CpG is methylated


def plant(
    folder: Path, *, donors: tuple[int, ...] = (DONORS,) * TISSUES, depth: float = 6.0, counts: bool = False
) -> Regions:
    """Donors of each tissue by its number, one sample each, donor d being number d of its tissue; with `counts` the
    last sample has one row of summed counts for each region."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(TISSUES), MARKERS)
    letters = rng.choice(np.frombuffer(b"AT", np.uint8), (REGIONS, 150))
    letters[:, POSITIONS], letters[:, POSITIONS + 1] = ord("C"), ord("G")
    with RegionsWriter(
        folder / FILE,
        dna_tokens=tokenize(letters),
        cpg_position=np.tile(POSITIONS.astype(np.uint8), (REGIONS, 1)),
        n_cpg=np.full(REGIONS, CPGS, np.uint8),
        regions=_regions(target),
        tissues=pd.DataFrame({"name": [f"tissue{number}" for number in range(TISSUES)], "group": ""}),
        build="planted",
        sequence_source="fasta",
        panel_digest="panel",
    ) as writer:
        for tissue, count in enumerate(donors):
            for donor in range(count):
                name, summed = f"t{tissue}d{donor}", counts and (tissue, donor) == (len(donors) - 1, count - 1)
                writer.start_sample(
                    name=name,
                    donor=name,
                    tissue=f"tissue{tissue}",
                    kind="counts" if summed else "reads",
                    coverage=depth,
                )
                writer.append(_rows(target == tissue, depth=depth, summed=summed, rng=rng))
    return open_regions(folder / FILE)


def splits_of(regions: Regions) -> DonorSplits:
    """Donor 3 of each tissue is for validation, donor 4 for the test, the others for training."""
    part = [{"3": 1, "4": 2}.get(name[-1], 0) for name in regions.samples["name"]]
    return DonorSplits(np.array(part, np.int8), ())


def _rows(marker: np.ndarray, *, depth: float, summed: bool, rng: np.random.Generator) -> Rows:
    region = np.repeat(np.arange(REGIONS), 1 if summed else rng.poisson(depth, REGIONS))
    rate = np.where(marker, IN_MARKER, ELSEWHERE)[region]
    at_cpgs = (rng.random((len(region), CPGS)) < rate[:, None]).astype(np.uint8)
    at_cpgs[rng.random(at_cpgs.shape) < 0.1] = NOT_OBSERVED
    states = np.full((len(region), 150), NO_CPG, np.uint8)
    states[:, POSITIONS] = at_cpgs
    times = int(depth) if summed else 1
    return Rows(
        region=region,
        states=states,
        count=np.where(summed, 1, rng.integers(1, 3, len(region))),
        n_meth=times * (at_cpgs == METHYLATED).sum(1),
        n_cov=times * (at_cpgs < NO_CPG).sum(1),
    )


def _regions(target: np.ndarray) -> pd.DataFrame:
    number = np.arange(len(target))
    return pd.DataFrame(
        {
            "chromosome": "chr1",
            "start": 1000 * number,
            "end": 1000 * number + 150,
            "start_cpg": CPGS * number + 1,
            "end_cpg": CPGS * (number + 1) + 1,
            "target": [f"tissue{each}" for each in target],
            "direction": "U",
            "block": [f"r{each}" for each in number],
        }
    )
