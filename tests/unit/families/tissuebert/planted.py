"""Reads of tissues whose truth is known: marker regions, donors that differ, fragments that are of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.hdf5 import Regions

CPGS = 8
RATE_U, RATE_M = 0.04, 0.94  # chance that a CpG is methylated in a fragment of each kind


@dataclass(frozen=True)
class Atlas:
    """unmethylated [regions, tissues]: share of fragments that are unmethylated; spread: what donors' Beta sums to."""

    unmethylated: np.ndarray
    spread: float


def plant_atlas(
    *, tissues: int = 8, markers: int = 12, twins: bool = False, spread: float = 60, seed: int = 0
) -> Atlas:
    """Markers for each tissue in turn, unmethylated in it only; with `twins`, the last two differ by a twentieth."""
    rng = np.random.default_rng(seed)
    target = np.repeat(np.arange(tissues), markers)
    elsewhere = rng.beta(2, 40, (len(target), tissues))
    inside = rng.beta(16, 4, len(target))
    fraction = np.where(target[:, None] == np.arange(tissues), inside[:, None], elsewhere)
    if twins:
        fraction[:, -1] = np.clip(fraction[:, -2] + rng.normal(0, 0.02, len(target)), 0.005, 0.995)
    return Atlas(fraction, spread)


def plant_regions(
    atlas: Atlas, *, donors: int = 4, depth: float = 30, seed: int = 0, of_tissue: list[int] | None = None
) -> Regions:
    """One sample of each tissue (or of `of_tissue`) from each donor; donor d of tissue t is called "t<t>-d<d>"."""
    rng = np.random.default_rng([seed, 1])
    count, tissues = atlas.unmethylated.shape
    owners = [(t, d) for d in range(donors) for t in (range(tissues) if of_tissue is None else of_tissue)]
    parts = [_sample(atlas, tissue, depth=depth, rng=rng) for tissue, _ in owners]
    offsets = np.concatenate([[0], np.cumsum([len(part[0]) for part in parts])])
    region, n_meth, n_cov, row_count = (np.concatenate([part[i] for part in parts]) for i in range(4))
    positions = 20 + 12 * np.arange(CPGS)
    return Regions(
        path=Path("planted.h5"),
        dna_tokens=np.full((count, 150), 65, np.uint8),
        states=_states(n_meth, n_cov, positions),
        row_region=region.astype(np.int32),
        row_sample=np.repeat(np.arange(len(owners)), np.diff(offsets)).astype(np.int32),
        row_count=row_count.astype(np.uint16),
        n_meth=n_meth.astype(np.uint16),
        n_cov=n_cov.astype(np.uint16),
        sample_offset=offsets.astype(np.int64),
        cpg_position=np.tile(positions.astype(np.uint8), (count, 1)),
        n_cpg=np.full(count, CPGS, np.uint8),
        samples=pd.DataFrame(
            {
                "name": [f"t{t}-d{d}" for t, d in owners],
                "donor": [f"t{t}-d{d}" for t, d in owners],
                "tissue": [f"tissue {t}" for t, _ in owners],
                "kind": "reads",
                "coverage": float(depth),
                "synthetic": False,
            }
        ),
        regions=pd.DataFrame(
            {
                "chromosome": "chr1",
                "start": 1000 * np.arange(count),
                "end": 1000 * np.arange(count) + 150,
                "start_cpg": CPGS * np.arange(count) + 1,
                "end_cpg": CPGS * np.arange(count) + 1 + CPGS,
                "target": [f"tissue {t}" for t in np.repeat(np.arange(tissues), count // tissues)],
                "direction": "U",
                "block": [f"r{r}" for r in range(count)],
            }
        ),
        tissues=pd.DataFrame({"name": [f"tissue {t}" for t in range(tissues)], "group": ""}),
        build="planted",
        sequence_source="none",
        panel_digest="0",
        cpgs=CPGS * count,
    )


def draw_reads(
    fraction: np.ndarray, *, depth: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """region, n_meth, n_cov of single fragments, Poisson(depth) in each region; fraction [regions] unmethylated."""
    region = np.repeat(np.arange(len(fraction)), rng.poisson(depth, len(fraction)))
    unmethylated = rng.random(len(region)) < fraction[region]
    n_cov = rng.integers(3, CPGS + 1, len(region))
    return region, rng.binomial(n_cov, np.where(unmethylated, RATE_U, RATE_M)), n_cov


def _sample(atlas: Atlas, tissue: int, *, depth: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    own = rng.beta(
        *(atlas.spread * part for part in (atlas.unmethylated[:, tissue], 1 - atlas.unmethylated[:, tissue]))
    )
    reads, times = np.unique(np.stack(draw_reads(own, depth=depth, rng=rng)), axis=1, return_counts=True)
    return *reads, times


def _states(n_meth: np.ndarray, n_cov: np.ndarray, positions: np.ndarray) -> np.ndarray:
    states = np.full((len(n_meth), 150), 2, np.uint8)
    place = np.arange(CPGS)
    states[:, positions] = np.where(place < n_meth[:, None], 1, np.where(place < n_cov[:, None], 0, 3))
    return states
