"""Fragments of a sample over the regions: where they lie, to which class they belong, and what their CpGs say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.settings import RawSettings

# Beta of a fragment's own share of methylated CpGs, by class U, X, M
CLASS_BETA = ((1.0, 14.0), (2.5, 2.5), (14.0, 1.0))
UNSEEN, UNMETHYLATED, METHYLATED = b".TC"
SHORTEST_BP = 40
CPG_BP = 2


@dataclass(frozen=True)
class Layout:
    """Regions of all sizes as one grid. **Shapes**, n regions, c CpGs of the largest: positions [n, c] int64, of each C
    (behind the last one: the last); n_cpg [n] int64; start_cpg [n] int64, the first one's number."""

    positions: np.ndarray
    n_cpg: np.ndarray
    start_cpg: np.ndarray

    @classmethod
    def of(cls, positions: list[np.ndarray], *, start_cpg: np.ndarray) -> Layout:
        n_cpg = np.array([len(each) for each in positions])
        place = np.minimum(np.arange(n_cpg.max()), n_cpg[:, None] - 1)
        ends = np.cumsum(n_cpg)
        grid = np.concatenate(positions)[(ends - n_cpg)[:, None] + place]
        return cls(grid, n_cpg, np.asarray(start_cpg, np.int64))


@dataclass(frozen=True)
class Patterns:
    """Distinct fragments as .pat has them: start_cpg [k] int64 ascending, pattern [k] bytes, count [k] int64."""

    start_cpg: np.ndarray
    pattern: np.ndarray
    count: np.ndarray


def donor_fractions(fractions: np.ndarray, *, concentration: float, rng: np.random.Generator) -> np.ndarray:
    """[regions, 3]: a donor's own shares around the tissue's [regions, 3] (Dirichlet: fragments are beta-binomial)."""
    drawn = rng.gamma(np.maximum(fractions * concentration, 1e-3))
    shares: np.ndarray = drawn / drawn.sum(axis=1, keepdims=True)
    return shares


def draw_fragments(
    shares: np.ndarray, *, layout: Layout, depth: float, settings: RawSettings, rng: np.random.Generator
) -> Patterns:
    """Fragments of a sample with these class shares [regions, 3]; Poisson many over each region."""
    region = np.repeat(np.arange(len(shares)), rng.poisson(depth, len(shares)))
    covered = _covered(region, layout=layout, settings=settings, rng=rng)
    seen = covered.any(axis=1)
    region, covered = region[seen], covered[seen]
    kind = (rng.random(len(region))[:, None] > np.cumsum(shares[region], axis=1)[:, :-1]).sum(axis=1)
    methylated = chains(kind, positions=layout.positions[region], reach_bp=settings.co_methylation_bp, rng=rng)
    return as_patterns(region, covered=covered, methylated=methylated, layout=layout)


def chains(kind: np.ndarray, *, positions: np.ndarray, reach_bp: float, rng: np.random.Generator) -> np.ndarray:
    """bool [k, c]: methylation along each fragment of class `kind` [k] with CpGs at positions [k, c].

    A CpG copies the one before it with the chance exp(-distance / reach_bp), else it is drawn anew with the fragment's
    own chance. So CpGs of a fragment are never independent.
    """
    first, second = np.array(CLASS_BETA).T
    chance = rng.beta(first[kind], second[kind])
    states: np.ndarray = rng.random(positions.shape) < chance[:, None]
    copies = rng.random(positions[:, 1:].shape) < np.exp(-np.diff(positions, axis=1) / reach_bp)
    for place in range(1, positions.shape[1]):
        states[:, place] = np.where(copies[:, place - 1], states[:, place - 1], states[:, place])
    return states


def as_patterns(region: np.ndarray, *, covered: np.ndarray, methylated: np.ndarray, layout: Layout) -> Patterns:
    """Fragments with covered CpGs [k, c] as patterns from the first covered CpG to the last, alike ones counted."""
    if not len(region):
        return Patterns(np.zeros(0, np.int64), np.zeros(0, "S1"), np.zeros(0, np.int64))
    width = covered.shape[1]
    first = covered.argmax(axis=1)
    length = width - covered[:, ::-1].argmax(axis=1) - first
    letters = np.where(covered, np.where(methylated, METHYLATED, UNMETHYLATED), UNSEEN).astype(np.uint8)
    place = first[:, None] + np.arange(width)
    inside = np.arange(width) < length[:, None]
    shifted = np.take_along_axis(letters, np.minimum(place, width - 1), axis=1) * inside
    keys = np.empty(len(region), [("start", np.int64), ("pattern", f"S{width}")])
    keys["start"] = layout.start_cpg[region] + first
    keys["pattern"] = shifted.astype(np.uint8).view(f"S{width}").ravel()
    distinct, count = np.unique(keys, return_counts=True)
    return Patterns(distinct["start"], distinct["pattern"], count)


def thinned(patterns: Patterns, *, share: float, rng: np.random.Generator) -> Patterns:
    """Each fragment kept with the chance `share`: the same sample at less depth."""
    count = rng.binomial(patterns.count, share)
    kept = count > 0
    return Patterns(patterns.start_cpg[kept], patterns.pattern[kept], count[kept])


def _covered(region: np.ndarray, *, layout: Layout, settings: RawSettings, rng: np.random.Generator) -> np.ndarray:
    """bool [k, c]: CpGs that lie wholly in fragments which begin anywhere so that they touch the region's CpGs."""
    length = np.maximum(rng.normal(settings.fragment_bp, settings.fragment_sd_bp, len(region)), SHORTEST_BP)
    positions = layout.positions[region]
    low, high = positions[:, 0] - length + CPG_BP, positions[:, -1]
    start = low + rng.random(len(region)) * (high - low)
    inside: np.ndarray = (positions >= start[:, None]) & (positions + CPG_BP <= (start + length)[:, None])
    there: np.ndarray = inside & (np.arange(positions.shape[1]) < layout.n_cpg[region][:, None])
    return there
