"""Windows of 150 bp, each centred on the CpGs that it holds, cut from candidate regions of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.cpg_index import CpgIndex, cpg_positions, index_genome
from ml_core.families.tissuebert.readers.fasta import Fasta, unknown_chromosome
from ml_core.families.tissuebert.readers.panel import Candidates
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.tokens import WINDOW_BP

Found = tuple[int, np.ndarray]  # number of the first CpG (0: not known), positions of the C of each


@dataclass(frozen=True)
class Windows:
    """Windows on a genome, sorted by their first CpG; no CpG is in two.

    frame: the columns of `Regions.regions`. **Shapes**: letters [n, 150] uint8 (all N without a FASTA); cpg_position
    [n, most CpGs] uint8, 255 behind the last; n_cpg [n] uint8. cpgs: how many CpGs the numbering has, 0: not known.
    """

    frame: pd.DataFrame
    letters: np.ndarray
    cpg_position: np.ndarray
    n_cpg: np.ndarray
    cpgs: int = 0

    def __len__(self) -> int:
        return len(self.n_cpg)

    def take(self, chosen: np.ndarray) -> Windows:
        """The windows of these numbers, in their order."""
        frame = self.frame.iloc[chosen].reset_index(drop=True)
        return Windows(frame, self.letters[chosen], self.cpg_position[chosen], self.n_cpg[chosen], self.cpgs)


def cut(candidates: Candidates, *, fasta: Fasta | None, min_cpgs: int) -> Windows:
    """Windows of the candidates with at least `min_cpgs` CpGs; a CpG that two candidates share goes to the first.

    Without a FASTA the CpGs of a region are thought to lie at equal distances from its start to its end.
    """
    index = index_genome(fasta) if fasta is not None and not candidates.numbered else None
    rows, letters, positions = [], [], []
    taken: dict[str, set[int]] = {}
    for region in candidates.frame.to_dict("records"):
        first, places = _cpgs_of(region, candidates=candidates, fasta=fasta, index=index)
        seen = taken.setdefault(region["chromosome"], set())
        for low, high in runs(places):
            run = places[low:high]
            if high - low < min_cpgs or seen & set(run.tolist()):
                continue
            seen.update(run.tolist())
            start = window_start(run, fasta=fasta, chromosome=region["chromosome"])
            rows.append(
                {
                    "chromosome": region["chromosome"],
                    "start": start,
                    "end": start + WINDOW_BP,
                    "start_cpg": first + low if first else 0,
                    "end_cpg": first + high if first else 0,
                    "target": region["target"],
                    "direction": region["direction"],
                    "block": region["name"] or f"{region['chromosome']}:{region['start']}-{region['end']}",
                }
            )
            letters.append(_letters(fasta, chromosome=region["chromosome"], start=start))
            positions.append(run - start)
    if not rows:
        raise UserError(
            f"{candidates.path}: none of its {len(candidates.frame):,} regions has {min_cpgs} CpGs within "
            f"{WINDOW_BP} bp, expected at least one that has; lower panel.min_cpgs, or check the build."
        )
    windows = Windows(pd.DataFrame(rows), np.stack(letters), *padded(positions), cpgs=index.cpgs if index else 0)
    return windows.take(np.lexsort((windows.frame["start"], windows.frame["start_cpg"])))


def runs(places: np.ndarray) -> list[tuple[int, int]]:
    """Half-open parts of ascending positions, each as long as it can be within a window with both letters of a CpG."""
    found, low = [], 0
    while low < len(places):
        high = int(np.searchsorted(places, places[low] + WINDOW_BP - 1))
        found.append((low, high))
        low = high
    return found


def window_start(run: np.ndarray, *, fasta: Fasta | None, chromosome: str) -> int:
    """Where the window around these CpGs begins; near an end of the chromosome it is moved inside."""
    span = int(run[-1]) + 2 - int(run[0])
    start = int(run[0]) - (WINDOW_BP - span) // 2
    if fasta is None:
        return max(start, 0)
    entry = fasta.entries[chromosome]
    return max(min(start, entry.first + entry.length - WINDOW_BP), entry.first)


def padded(positions: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(cpg_position [n, most] uint8 with 255 behind the last, n_cpg [n] uint8)."""
    counts = np.array([len(each) for each in positions], np.uint8)
    out = np.full((len(positions), int(counts.max(initial=0))), NO_PLACE, np.uint8)
    for row, each in zip(out, positions, strict=True):
        row[: len(each)] = each
    return out, counts


def _letters(fasta: Fasta | None, *, chromosome: str, start: int) -> np.ndarray:
    if fasta is None:
        return np.full(WINDOW_BP, ord("N"), np.uint8)
    return fasta.letters(chromosome, start, start + WINDOW_BP)


def _cpgs_of(region: dict[Any, Any], *, candidates: Candidates, fasta: Fasta | None, index: CpgIndex | None) -> Found:
    chromosome, start, end = region["chromosome"], region["start"], region["end"]
    if fasta is not None and chromosome not in fasta.entries:
        raise UserError(unknown_chromosome(fasta.path, chromosome, known=list(fasta.entries)))
    if index is not None and fasta is not None:
        fasta.letters(chromosome, start, end)  # says so where the FASTA ends before the region
        return index.within(chromosome, start, end)
    if not candidates.numbered:
        raise UserError(
            f"{candidates.path}: has no CpG numbers (startCpG, endCpG) and raw.fasta is not set, expected one of the "
            "two; without it no region's CpGs are known; set raw.fasta."
        )
    first, count = region["start_cpg"], region["end_cpg"] - region["start_cpg"]
    if fasta is None:
        spread = np.unique(np.linspace(start - 1, max(end - 2, start - 1 + 2 * (count - 1)), count).astype(np.int64))
        return first, spread
    found = _located(fasta, chromosome=chromosome, start=start, end=end, count=count)
    if found is None:
        raise UserError(
            f"{candidates.path}: says that {chromosome}:{start:,}-{end:,} begins with a CpG and has {count} CpGs, "
            f"which is not so in {fasta.path}, expected files of one build; give the genome of the panel's build."
        )
    return first, found


def _located(fasta: Fasta, *, chromosome: str, start: int, end: int, count: int) -> np.ndarray | None:
    """Positions of the `count` CpGs of which the first stands at `start` (1-based, or 0-based); None: it does not."""
    entry = fasta.entries[chromosome]
    for first in (start - 1, start):
        # endCpG may be the first CpG behind the region, so that `end` is that one's position or a base after the last
        last = min(max(end + 2, first + 2), entry.first + entry.length)
        places = first + cpg_positions(fasta.letters(chromosome, first, last))
        if len(places) and places[0] == first and count <= len(places) <= count + 2:
            return places[:count]
    return None
