"""CpGs of a genome: their positions, and their numbers as .pat and .beta count them (1 is the genome's first CpG)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.readers.fasta import Fasta

_LOWER = 32


def cpg_positions(letters: np.ndarray) -> np.ndarray:
    """Positions of the C of each CG in letters uint8 [n] of either case."""
    upper = letters & ~np.uint8(_LOWER)
    return np.flatnonzero((upper[:-1] == ord("C")) & (upper[1:] == ord("G")))


@dataclass(frozen=True)
class CpgIndex:
    """Numbers of CpGs by chromosome, in the order of the FASTA: `first` is that of the chromosome's first CpG."""

    positions: dict[str, np.ndarray]
    first: dict[str, int]

    @property
    def cpgs(self) -> int:
        return sum(map(len, self.positions.values()))

    def within(self, chromosome: str, start: int, end: int) -> tuple[int, np.ndarray]:
        """(number of the first CpG in the part, positions of the C of all of them); 0-based, half-open."""
        places = self.positions[chromosome]
        low, high = np.searchsorted(places, (start, end))
        return self.first[chromosome] + int(low), places[low:high]


def index_genome(fasta: Fasta) -> CpgIndex:
    """The numbering of wgbstools for this FASTA: through all chromosomes in their order there."""
    positions: dict[str, np.ndarray] = {}
    first: dict[str, int] = {}
    following = 1
    for chromosome, entry in fasta.entries.items():
        positions[chromosome] = cpg_positions(fasta.letters(chromosome, entry.first)) + entry.first
        first[chromosome] = following
        following += len(positions[chromosome])
    return CpgIndex(positions, first)
