"""UniFrac of this family beside scikit-bio's: CPU time, largest difference, memory.

Samples of the simulated table have about 110 ASVs each, as UDCA's have at 2,000 reads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from ml_core.bench.case import Request, Row
from ml_core.bench.turns import Contender, cheaper, take_turns
from ml_core.families.sequence.data import Tree
from ml_core.families.sequence.peer import as_scikit_bio, unifrac_of_scikit_bio
from ml_core.families.sequence.phylogeny import shear
from ml_core.families.sequence.settings import RawSettings, UnifracSettings
from ml_core.families.sequence.simulated_tree import evolve
from ml_core.families.sequence.unifrac import Metric, within

SAMPLES, ASVS = 500, 5574
QUICK_SAMPLES, QUICK_ASVS = 20, 200
ASVS_PER_SAMPLE = 110
MOST_READS_OF_AN_ASV = 100
METRICS: tuple[Metric, ...] = ("unweighted", "weighted_normalized")
AGREEMENT = 1e-6
Problem = tuple[sparse.csr_matrix, Tree]


def rows(request: Request) -> list[Row]:
    samples, asvs = (QUICK_SAMPLES, QUICK_ASVS) if request.quick else (SAMPLES, ASVS)
    found: list[Row] = []
    for metric in METRICS:
        ours, theirs = take_turns(
            [
                Contender("ml_core", ours_of, (samples, asvs, metric)),
                Contender("scikit-bio", theirs_of, (samples, asvs, metric)),
            ],
            rounds=request.rounds,
        )
        apart = float(np.abs(ours.answers[0] - theirs.answers[0]).max())
        assert apart <= AGREEMENT, f"{metric} distances differ by {apart:.1e}"
        what = f"UniFrac, {metric.replace('_', ' ')}, {samples:,} samples x {asvs:,} ASVs"
        found.append(cheaper(what, ours, theirs, least=15, note=f"largest difference {apart:.0e}"))
    return found


def simulated(samples: int, asvs: int) -> Problem:
    """A tree of the simulator and samples that have ASVs at random."""
    rng = np.random.default_rng(0)
    phylogeny = evolve(RawSettings(asvs=asvs, length_bp=40), rng=rng).phylogeny
    row = np.repeat(np.arange(samples), ASVS_PER_SAMPLE)
    column = rng.integers(asvs, size=len(row))
    reads = rng.integers(1, MOST_READS_OF_AN_ASV, size=len(row)).astype(np.int32)
    counts = sparse.csr_matrix((reads, (row, column)), (samples, asvs), dtype=np.int32)
    return counts, shear(phylogeny, phylogeny.tips)


def ours_of(samples: int, asvs: int, metric: Metric) -> Callable[[], np.ndarray]:
    counts, tree = simulated(samples, asvs)
    return lambda: within(counts, tree=tree, metric=metric, block_samples=UnifracSettings().block_samples)


def theirs_of(samples: int, asvs: int, metric: Metric) -> Callable[[], np.ndarray]:
    counts, tree = simulated(samples, asvs)
    dense, their_tree = counts.toarray(), as_scikit_bio(tree)
    return lambda: unifrac_of_scikit_bio(dense, their_tree, metric)
