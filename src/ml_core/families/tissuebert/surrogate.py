"""Windows of another sequence in place of a genome that is not at hand: as many CpGs, and no claim about the DNA."""

from __future__ import annotations

import dataclasses

import numpy as np

from ml_core.errors import UserError
from ml_core.families.tissuebert.cpg_index import cpg_positions
from ml_core.families.tissuebert.readers.fasta import Fasta
from ml_core.families.tissuebert.tokens import WINDOW_BP
from ml_core.families.tissuebert.windows import Windows, padded, runs, window_start


def with_surrogates(windows: Windows, *, fasta: Fasta, seed: int) -> Windows:
    """The windows with letters and CpG places of windows from `fasta` that have as many CpGs, each used once.

    Those are drawn at random; UserError where there are too few of them.
    """
    pool = _pool(fasta)
    rng = np.random.default_rng(seed)
    letters = windows.letters.copy()
    places: list[np.ndarray] = [np.zeros(0, np.int64)] * len(windows)
    for count in np.unique(windows.n_cpg):
        wanted = np.flatnonzero(windows.n_cpg == count)
        there = pool.get(int(count), [])
        if len(there) < len(wanted):
            raise UserError(
                f"{fasta.path}: has {len(there)} windows of {WINDOW_BP} bp with {count} CpGs, expected at least "
                f"{len(wanted)} as in the panel; give a longer FASTA, or set panel.sequence_source=none."
            )
        for region, which in zip(wanted, rng.permutation(len(there))[: len(wanted)], strict=True):
            chromosome, run = there[which]
            start = window_start(run, fasta=fasta, chromosome=chromosome)
            letters[region] = fasta.letters(chromosome, start, start + WINDOW_BP)
            places[region] = run - start
    position, n_cpg = padded(places)
    return dataclasses.replace(windows, letters=letters, cpg_position=position, n_cpg=n_cpg)


def _pool(fasta: Fasta) -> dict[int, list[tuple[str, np.ndarray]]]:
    """Number of CpGs -> runs of so many that fill windows which share none."""
    found: dict[int, list[tuple[str, np.ndarray]]] = {}
    for chromosome, entry in fasta.entries.items():
        if entry.length < WINDOW_BP:
            continue
        places = entry.first + cpg_positions(fasta.letters(chromosome, entry.first))
        for low, high in runs(places):
            found.setdefault(high - low, []).append((chromosome, places[low:high]))
    return found
