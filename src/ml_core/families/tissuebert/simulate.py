"""Samples of many tissues and donors, as files and with the truth: an atlas, donors around it, fragments of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.panel import UNKNOWN_CPG, read_atlas
from ml_core.families.tissuebert.settings import RawSettings
from ml_core.families.tissuebert.simulated_atlas import BLOOD, Atlas, atlas_of, draw_atlas
from ml_core.families.tissuebert.simulated_genome import Genome, draw_genome
from ml_core.families.tissuebert.simulated_reads import Layout, Patterns, donor_fractions, draw_fragments, thinned
from ml_core.sources import existing, local_path

COPY_SHARE = 0.5


@dataclass(frozen=True)
class Simulated:
    """regions: chromosome, start, end, start_cpg, end_cpg, target, direction; samples: name, donor, tissue, group,
    coverage, synthetic; genome: None where the regions are those of a user's atlas."""

    atlas: Atlas
    regions: pd.DataFrame
    samples: pd.DataFrame
    layout: Layout
    genome: Genome | None
    settings: RawSettings

    def reads(self) -> Iterator[tuple[str, Patterns]]:
        """(name, fragments) sample by sample, copies behind what they are copies of."""
        by_tissue = {name: number for number, name in enumerate(self.atlas.tissues["name"])}
        for number, donor in enumerate(dict.fromkeys(self.samples["donor"])):
            rng = np.random.default_rng([self.settings.seed, 1, number])
            own = self.samples[self.samples["donor"] == donor]
            shares = donor_fractions(
                self.atlas.fractions[:, by_tissue[own["tissue"].iloc[0]]],
                concentration=self.settings.donor_concentration,
                rng=rng,
            )
            depth = float(own["coverage"].max())
            whole = draw_fragments(shares, layout=self.layout, depth=depth, settings=self.settings, rng=rng)
            for name, synthetic in zip(own["name"], own["synthetic"], strict=True):
                yield name, thinned(whole, share=COPY_SHARE, rng=rng) if synthetic else whole


def simulate(settings: RawSettings) -> Simulated:
    """Equal settings give equal samples."""
    rng = np.random.default_rng([settings.seed, 0])
    if settings.atlas:
        atlas, regions, layout = _from_file(settings)
        genome = None
    else:
        genome = draw_genome(settings.regions, rng=rng)
        atlas, regions = draw_atlas(settings, rng=rng), genome.regions
        layout = Layout.of(genome.positions, start_cpg=regions["start_cpg"].to_numpy())
    regions = regions.assign(target=atlas.target, direction=atlas.direction)
    return Simulated(atlas, regions, _samples(atlas, settings=settings), layout, genome, settings)


def donors_of(tissue: str, *, settings: RawSettings, tissues: int) -> int:
    """Donors of a tissue; blood has as many as make it its share of all samples."""
    others = settings.donors * (tissues - 1)
    blood = round(settings.blood_share / (1 - settings.blood_share) * others)
    return max(blood, 1) if tissue == BLOOD else settings.donors


def _samples(atlas: Atlas, *, settings: RawSettings) -> pd.DataFrame:
    rows = []
    for tissue, group in zip(atlas.tissues["name"], atlas.tissues["group"], strict=True):
        depth = settings.depth * (settings.blood_deeper if tissue == BLOOD else 1)
        for number in range(1, donors_of(tissue, settings=settings, tissues=len(atlas.tissues)) + 1):
            donor = f"{tissue}_{number:02d}"
            row = {"donor": donor, "tissue": tissue, "group": group}
            rows.append({"name": donor, **row, "coverage": depth, "synthetic": False})
            half = depth * COPY_SHARE
            for copy in range(1, settings.copies + 1):
                rows.append({"name": f"{donor}_copy{copy}", **row, "coverage": half, "synthetic": True})
    return pd.DataFrame(rows)


def _from_file(settings: RawSettings) -> tuple[Atlas, pd.DataFrame, Layout]:
    candidates = read_atlas(existing(local_path(str(settings.atlas))))
    assert candidates.fractions is not None
    frame = candidates.frame
    if (frame["start_cpg"] == UNKNOWN_CPG).any():
        raise UserError(f"{candidates.path}: has rows without CpG numbers, expected startCpG and endCpG in all.")
    counts = (frame["end_cpg"] - frame["start_cpg"]).to_numpy()
    places = [
        np.linspace(start - 1, max(end - 2, start + 2 * count), count).astype(np.int64)
        for start, end, count in zip(frame["start"], frame["end"], counts, strict=True)
    ]
    atlas = atlas_of(
        candidates.fractions,
        types=candidates.types,
        target=frame["target"].to_numpy(object),
        direction=frame["direction"].to_numpy(object),
    )
    regions = frame[["chromosome", "start", "end", "start_cpg", "end_cpg"]]
    return atlas, regions, Layout.of(places, start_cpg=regions["start_cpg"].to_numpy())
