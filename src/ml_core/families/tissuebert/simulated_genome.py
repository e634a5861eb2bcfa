"""A genome for the simulator: few CpGs, and clusters of them where its regions are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.cpg_index import cpg_positions
from ml_core.families.tissuebert.tokens import WINDOW_BP

CHROMOSOMES = ("chr1", "chr2")
SPACING_BP = 700
GC = 0.42
CPG_KEPT = 0.25  # of the CpGs that chance makes; methylation has worn the others away
CPGS = (5, 3.0, 14)  # least, mean of what comes on top, most
GRID_BP = 3
MARGIN_BP = 9
LINE = 60


@dataclass(frozen=True)
class Genome:
    """letters by chromosome, uint8; regions: chromosome, start (1-based, the first CpG's C), end, start_cpg, end_cpg;
    positions: of the C of each region's CpGs, 0-based."""

    letters: dict[str, np.ndarray]
    regions: pd.DataFrame
    positions: list[np.ndarray]


def draw_genome(count: int, *, rng: np.random.Generator) -> Genome:
    """`count` regions on two chromosomes, numbered as `cpg_index.index_genome` numbers them."""
    letters, rows, positions = {}, [], []
    first = 1
    for chromosome, share in zip(CHROMOSOMES, np.array_split(np.arange(count), len(CHROMOSOMES)), strict=True):
        sequence = _background(SPACING_BP * (len(share) + 1), rng=rng)
        planted = [_plant(sequence, centre=SPACING_BP * number, rng=rng) for number in range(1, len(share) + 1)]
        places = cpg_positions(sequence)
        for each in planted:
            low = first + int(np.searchsorted(places, each[0]))
            rows.append((chromosome, int(each[0]) + 1, int(each[-1]) + 2, low, low + len(each)))
        positions += planted
        letters[chromosome] = sequence
        first += len(places)
    return Genome(
        letters, pd.DataFrame(rows, columns=["chromosome", "start", "end", "start_cpg", "end_cpg"]), positions
    )


def as_fasta(genome: Genome) -> bytes:
    """Lines of 60 letters."""
    parts = []
    for name, letters in genome.letters.items():
        whole = letters.tobytes()
        lines = (whole[start : start + LINE] for start in range(0, len(whole), LINE))
        parts.append(f">{name}\n".encode() + b"\n".join(lines) + b"\n")
    return b"".join(parts)


def _background(length: int, *, rng: np.random.Generator) -> np.ndarray:
    chances = [(1 - GC) / 2, GC / 2, GC / 2, (1 - GC) / 2]
    sequence = rng.choice(np.frombuffer(b"ACGT", np.uint8), length, p=chances)
    places = cpg_positions(sequence)
    sequence[places[rng.random(len(places)) >= CPG_KEPT] + 1] = ord("A")
    return sequence


def _plant(sequence: np.ndarray, *, centre: int, rng: np.random.Generator) -> np.ndarray:
    """Put a cluster of CpGs into the window around `centre`, and leave no other there; their positions."""
    least, mean, most = CPGS
    count = min(least + int(rng.poisson(mean)), most)
    start = centre - WINDOW_BP // 2
    stray = start - 1 + cpg_positions(sequence[start - 1 : start + WINDOW_BP + 1])
    sequence[stray + 1] = ord("A")
    grid = np.arange(MARGIN_BP, WINDOW_BP - MARGIN_BP, GRID_BP)
    places = np.sort(start + rng.choice(grid, count, replace=False))
    sequence[places], sequence[places + 1] = ord("C"), ord("G")
    return places
