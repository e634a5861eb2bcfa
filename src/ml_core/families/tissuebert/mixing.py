"""Mixtures with known proportions, drawn read by read from held-out donors."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.held_out import Donor

CFDNA = (0.85, 0.97)  # share of the background in cell-free DNA of the healthy and of most of the ill
OTHERS = 5  # tissues that share the rest


def mix(donors: list[Donor], proportions: np.ndarray, *, depth: float, rng: np.random.Generator) -> Reads:
    """A sample with `proportions` [tissues], from one donor of each tissue, about `depth` reads in each region.

    Reads are drawn without replacement: a read that comes twice would pass for two fragments that agree. Where one
    donor has too few for its share all donors give less, for less of it alone would change the proportions.
    """
    chosen = [_one_of(donors, tissue, rng) for tissue in np.flatnonzero(proportions)]
    shares = [proportions[donor.tissue] for donor in chosen]
    enough = np.min([donor.depth / share for donor, share in zip(chosen, shares, strict=True)], axis=0)
    wanted = np.minimum(enough, depth)  # [regions]
    return joined([donor.thinned(wanted * share, rng=rng) for donor, share in zip(chosen, shares, strict=True)])


def joined(parts: list[Reads]) -> Reads:
    """All reads as those of one sample."""
    scored = all(part.scores is not None for part in parts)
    return Reads(
        np.concatenate([part.region for part in parts]),
        np.concatenate([part.n_meth for part in parts]),
        np.concatenate([part.n_cov for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.scores for part in parts if part.scores is not None]) if scored else None,
    )


def cfdna(there: np.ndarray, *, background: int, tissues: int, rng: np.random.Generator) -> np.ndarray:
    """Proportions [tissues] of something like cell-free DNA: 85 to 97 % background, a few other tissues of `there`."""
    found = np.zeros(tissues)
    others = there[there != background]
    own = rng.choice(others, min(OTHERS, len(others)), replace=False)
    found[own] = rng.dirichlet(np.ones(len(own))) * (1 - rng.uniform(*CFDNA))
    found[background] = 1 - found.sum()
    return found


def dirichlet(there: np.ndarray, *, tissues: int, rng: np.random.Generator) -> np.ndarray:
    """Proportions [tissues] of all tissues of `there`, few of them large."""
    found = np.zeros(tissues)
    found[there] = rng.dirichlet(np.full(len(there), 0.3))
    return found


def spiked(tissue: int, share: float, *, background: int, tissues: int) -> np.ndarray:
    """Proportions [tissues]: `share` of a tissue in the background."""
    found = np.zeros(tissues)
    found[background] = 1 - share
    found[tissue] += share
    return found


def _one_of(donors: list[Donor], tissue: int, rng: np.random.Generator) -> Donor:
    own = [donor for donor in donors if donor.tissue == tissue]
    return own[int(rng.integers(len(own)))]
