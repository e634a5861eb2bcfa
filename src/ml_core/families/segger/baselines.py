"""What a model must beat: nearest polygon, nearest centroid, and gene likelihood less distance.

Each gives a score [transcripts, candidates] for the same candidates; the best-scored one is the assignment.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from ml_core.families.segger.expression import Profiles

COMPONENTS, NEIGHBOURS, PRIOR = 15, 25, 10.0  # of the smoothed profiles
SCALE_UM = 4.0  # distance that weighs as much as one nat of likelihood


def nearest_polygon(distance_um: np.ndarray) -> np.ndarray:
    """Score of each candidate by its distance to the polygon, [transcripts, candidates]."""
    return -distance_um


def nearest_centroid(offset_um: np.ndarray) -> np.ndarray:
    """Score by the distance to the centroid; `offset_um`: centroid less transcript, [transcripts, candidates, 2]."""
    return -np.hypot(offset_um[..., 0], offset_um[..., 1])


def smoothed(counts: np.ndarray | sparse.csr_matrix, *, directory: Path | None = None) -> Profiles:
    """Profiles from the nuclear counts [nuclei, genes] alone; `directory`: as in `Profiles.of`."""
    return Profiles.of(counts, neighbours=NEIGHBOURS, prior=PRIOR, components=COMPONENTS, directory=directory)


def likelihood(
    gene: np.ndarray,
    candidate: np.ndarray,
    distance_um: np.ndarray,
    *,
    profiles: Profiles,
    scale_um: float = SCALE_UM,
) -> np.ndarray:
    """log p(gene | nucleus) / p(gene) - distance / scale, [transcripts, candidates].

    gene: [transcripts]. candidate: nucleus index, -1 pad, [transcripts, candidates]. profiles: `smoothed`.
    """
    return np.where(candidate >= 0, profiles.ratio_at(gene, candidate) - distance_um / scale_um, -np.inf)


def best_candidate(candidate: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best-scored candidate of each transcript (-1 without one) and its score; ties go to the nearer one."""
    score = np.where(candidate >= 0, score, -np.inf)
    column = score.argmax(axis=1)
    rows = np.arange(len(score))
    return candidate[rows, column], score[rows, column]
