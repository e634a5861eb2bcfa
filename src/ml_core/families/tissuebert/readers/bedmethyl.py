"""Counts by position: bedMethyl (11 columns or more) or bedGraph with methylated and unmethylated reads (Bismark)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.panel import COMMENTS
from ml_core.families.tissuebert.readers.plain import rows

WHAT = (
    "counts as bedMethyl (11 columns: coverage in the 10th, percent methylated in the 11th) or as bedGraph with six "
    "(chr, start, end, percent, methylated, unmethylated reads)"
)
BEDGRAPH, BEDMETHYL = 6, 11
MODIFICATIONS = ("m", ".")  # of a bedMethyl that tells 5mC ("m") from others in its fourth column
BOTH_STRANDS_BP = 1  # on the reverse strand the C of a CpG is one base on


def read_bedmethyl(path: Path) -> pd.DataFrame:
    """Frame by position: chromosome, position (0-based, the C of the CpG on the forward strand), meth, cov (int64).

    Rows of one CpG's two strands are summed; rows without reads are left out. UserError with the row of what is wrong.
    """
    chromosomes, found = [], []
    for row, cells in rows(path, what=WHAT):
        if cells[0].startswith(COMMENTS):
            continue
        if len(cells) < BEDGRAPH or BEDGRAPH < len(cells) < BEDMETHYL:
            raise UserError(f"{path}: row {row} has {len(cells)} columns, expected {WHAT}; give one of these.")
        if len(cells) >= BEDMETHYL and len(cells[3]) == 1 and cells[3] not in MODIFICATIONS:
            continue
        try:
            found.append(_counts(cells))
        except ValueError as error:
            raise UserError(
                f"{path}: row {row} is not as expected ({error}), expected {WHAT}; mend the row."
            ) from error
        chromosomes.append(cells[0])
    if not found:
        raise UserError(f"{path}: has no CpGs, expected {WHAT}; check the path.")
    frame = pd.DataFrame(np.array(found), columns=["position", "meth", "cov"]).assign(chromosome=chromosomes)
    summed = frame[frame["cov"] > 0].groupby(["chromosome", "position"], sort=True, as_index=False).sum()
    return summed[["chromosome", "position", "meth", "cov"]]


def _counts(cells: list[str]) -> tuple[int, int, int]:
    start, end = int(cells[1]), int(cells[2])
    if end < start or start < 0:
        raise ValueError(f"it starts at {start:,} and ends at {end:,}")
    if len(cells) >= BEDMETHYL:
        cov, percent = int(cells[9]), float(cells[10])
        if not 0 <= percent <= 100 or cov < 0:
            raise ValueError(f"it has {percent} % of {cov} reads")
        return start - BOTH_STRANDS_BP * (cells[5] == "-"), round(cov * percent / 100), cov
    meth, unmeth = int(cells[4]), int(cells[5])
    if meth < 0 or unmeth < 0:
        raise ValueError(f"it has {meth} and {unmeth} reads")
    return start - (end == start), meth, meth + unmeth  # Bismark's .cov is 1-based with end = start
