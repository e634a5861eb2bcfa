"""What sequencing adds: chimeras of two ASVs, and copies with an N; both take reads from their parents."""

from __future__ import annotations

import numpy as np

from ml_core.families.sequence.phylogeny import Phylogeny, in_postorder
from ml_core.families.sequence.settings import RawSettings
from ml_core.families.sequence.simulated_tree import BASES, Evolved

CHIMERA_READS = 0.03  # share of the rarer parent's reads
N_READS = 0.01  # share of the ASV's reads


def with_errors(
    evolved: Evolved, counts: np.ndarray, *, settings: RawSettings, rng: np.random.Generator
) -> tuple[Phylogeny, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The tree with tips called by sequence; sequences [b], counts [n, b], kind [b] and origin [b] (an ASV each).

    b is the number of ASVs with the chimeras and copies that got reads. A chimera is a sister of the ASV that it begins
    with, as far away as its letters differ; a copy is a sister at no distance.
    """
    true = np.array(["".join(BASES[row]) for row in evolved.bases], object)
    made: dict[str, tuple[str, int, float]] = {}  # sequence -> kind, origin, distance
    columns: list[np.ndarray] = []
    counts = counts.copy()
    for _ in range(round(settings.chimera_share * len(true))):
        one, other = rng.choice(len(true), 2, replace=False)
        cut = int(rng.integers(settings.length_bp // 3, 2 * settings.length_bp // 3))
        sequence = true[one][:cut] + true[other][cut:]
        reads = rng.binomial(np.minimum(counts[:, one], counts[:, other]), CHIMERA_READS)
        apart = float((evolved.bases[one] != evolved.bases[other])[cut:].mean())
        if reads.any() and sequence not in made and sequence not in true:
            made[sequence] = ("chimera", int(one), apart)
            columns.append(reads)
            counts[:, one] -= reads
    for _ in range(round(settings.n_share * len(true))):
        one, site = int(rng.integers(len(true))), int(rng.integers(settings.length_bp))
        sequence = true[one][:site] + "N" + true[one][site + 1 :]
        reads = rng.binomial(counts[:, one], N_READS)
        if reads.any() and sequence not in made:
            made[sequence] = ("n", one, 0.0)
            columns.append(reads)
            counts[:, one] -= reads
    sequences = np.array([*true, *made], object)
    return (
        _hung(evolved.phylogeny, sequences=sequences, made=made),
        sequences,
        np.column_stack([counts, *columns]),
        np.array(["true"] * len(true) + [kind for kind, _, _ in made.values()], object),
        np.array([*range(len(true)), *(origin for _, origin, _ in made.values())], np.int64),
    )


def _hung(phylogeny: Phylogeny, *, sequences: np.ndarray, made: dict[str, tuple[str, int, float]]) -> Phylogeny:
    names = [sequences[int(name)] if name else "" for name in phylogeny.names]
    parent, length = phylogeny.parent.tolist(), phylogeny.length.tolist()
    tip_of = {int(phylogeny.names[tip]): int(tip) for tip in phylogeny.tips}
    for sequence, (_, origin, apart) in made.items():
        tip, fork = tip_of[origin], len(parent)
        parent += [parent[tip], fork]
        length += [length[tip], apart]
        names += ["", sequence]
        parent[tip], length[tip] = fork, 0.0
    return in_postorder(np.array(parent), np.array(length), np.array([*names, None], object)[:-1])
