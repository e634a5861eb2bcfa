"""Fragments of a sample over the regions: where they lie, to which class they belong, and what their CpGs say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.settings import RawSettings

# Beta of a fragment's own share of methylated CpGs, by class U, X, M
CLASS_BETA = ((1.0, 14.0), (2.5, 2.5), (14.0, 1.0))
LETTERS = np.frombuffer(b"\0.CT", np.uint8)  # of a fragment's digits; 0: behind its end
UNSEEN, METHYLATED, UNMETHYLATED = 1, 2, 3
DIGITS = 20  # so many of four kinds fit into a whole number beside the rank of those before them
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
    chance = rng.beta(first[kind], second[kind]).astype(np.float32)
    near = np.exp(-np.diff(positions, axis=1).T.astype(np.float32) / np.float32(reach_bp))  # [c - 1, k]
    states: np.ndarray = rng.random(positions.T.shape, np.float32) < chance  # [c, k]
    copies = rng.random(near.shape, np.float32) < near
    for place in range(1, len(states)):
        states[place] = np.where(copies[place - 1], states[place - 1], states[place])
    return states.T


def as_patterns(region: np.ndarray, *, covered: np.ndarray, methylated: np.ndarray, layout: Layout) -> Patterns:
    """Fragments with covered CpGs [k, c] as patterns from the first covered CpG to the last, alike ones counted."""
    if not len(region):
        return Patterns(np.zeros(0, np.int64), np.zeros(0, "S1"), np.zeros(0, np.int64))
    width = covered.shape[1]
    first = covered.argmax(axis=1)
    length = width - covered[:, ::-1].argmax(axis=1) - first
    digits = np.where(covered, np.where(methylated, METHYLATED, UNMETHYLATED), UNSEEN).astype(np.uint8)
    place = first[:, None] + np.arange(width)
    inside = np.arange(width) < length[:, None]
    shifted = np.take_along_axis(digits, np.minimum(place, width - 1), axis=1) * inside
    start = layout.start_cpg[region] + first
    _, which, count = np.unique(_numbers(start, shifted), return_index=True, return_counts=True)
    pattern = LETTERS[shifted[which]].view(f"S{width}").ravel()
    return Patterns(start[which], pattern, count)


def _numbers(start: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """int64 [k]: equal for equal fragments and ascending as they are, by start [k] and digits [k, c]; whole numbers
    are sorted many times faster than bytes."""
    found = np.unique(start, return_inverse=True)[1].astype(np.int64)
    for low in range(0, digits.shape[1], DIGITS):
        few = digits[:, low : low + DIGITS].astype(np.int64)
        part = few @ 4 ** np.arange(few.shape[1])[::-1]
        found = np.unique(found * 4**DIGITS + part, return_inverse=True)[1]
    return found


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
