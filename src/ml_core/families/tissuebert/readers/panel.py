"""Candidate regions: BED3 or BED5 (with startCpG and endCpG), or the regions and fractions of an atlas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.plain import rows, whole_number

BED = "regions as BED3 (chr, start, end) or BED5 (and startCpG, endCpG)"
ATLAS = "an atlas as TSV (chr, start, end, startCpG, endCpG, target, name, direction, a column for each type)"
ATLAS_COLUMNS = ("chr", "start", "end", "startCpG", "endCpG", "target", "name", "direction")
UNKNOWN_CPG = 0
COMMENTS = ("#", "track", "browser")


@dataclass(frozen=True)
class Candidates:
    """Regions as they stand in the file, and what an atlas says of them.

    frame: chromosome, start, end, start_cpg, end_cpg (1-based, half-open; 0 where the file has none), target, direction
    ("U", "M" or ""), name. With CpG numbers `start` is the 1-based position of the first CpG's C, as in wgbstools' and
    the atlases' files; without them it is 0-based, as BED has it. fractions [regions, types] float64, share of
    unmethylated fragments, NaN where not known; types: their names, none for a BED.
    """

    path: Path
    frame: pd.DataFrame
    types: tuple[str, ...] = ()
    fractions: np.ndarray | None = None

    @property
    def numbered(self) -> bool:
        return bool((self.frame["start_cpg"] > UNKNOWN_CPG).all())


def read_bed(path: Path) -> Candidates:
    """UserError with the row where a number is none, the end is not behind the start, or columns are missing."""
    found = []
    for row, cells in rows(path, what=BED):
        if cells[0].startswith(COMMENTS) or cells[1:2] == ["start"]:
            continue
        if len(cells) not in (3, 4) and len(cells) < 5:
            raise UserError(f"{path}: row {row} has {len(cells)} columns, expected {BED}; mend the row.")
        found.append(_region(path, row, cells, numbered=len(cells) >= 5) | {"target": "", "direction": "", "name": ""})
    return Candidates(path, _frame(path, found, what=BED))


def read_atlas(path: Path) -> Candidates:
    """UserError with row and column where a cell is not as the header says, or a fraction is outside 0 to 1."""
    table = rows(path, what=ATLAS)
    _, header = next(table)
    missing = [name for name in ATLAS_COLUMNS if name not in header]
    types = [name for name in header if name not in ATLAS_COLUMNS]
    if missing or not types:
        raise UserError(f"{path}: has no column {missing[0] if missing else 'of a type'}, expected {ATLAS}; add it.")
    found, fractions = [], []
    for row, cells in table:
        if len(cells) != len(header):
            raise UserError(f"{path}: row {row} has {len(cells)} columns, expected {len(header)} as in the header.")
        cell = dict(zip(header, cells, strict=True))
        region = _region(path, row, [cell[name] for name in ATLAS_COLUMNS[:5]], numbered=True)
        direction = cell["direction"].strip()
        if direction not in ("U", "M", ""):
            raise UserError(f"{path}: row {row}, column 'direction' is '{direction}', expected U or M; mend the cell.")
        found.append(region | {"target": cell["target"].strip(), "direction": direction, "name": cell["name"]})
        fractions.append([_fraction(cell[name], path=path, row=row, column=name) for name in types])
    return Candidates(path, _frame(path, found, what=ATLAS), tuple(types), np.array(fractions))


def with_targets(candidates: Candidates, atlas: Candidates) -> Candidates:
    """Candidates that know which tissue they tell, in which direction, where the atlas has the same CpGs; only the
    target is taken, none of the atlas's fractions."""
    key = ["chromosome", "start_cpg", "end_cpg"]
    told = atlas.frame.drop_duplicates(key)[[*key, "target", "direction"]]
    joined = candidates.frame[key].merge(told, on=key, how="left").fillna("")
    frame = candidates.frame.assign(
        **{name: joined[name].to_numpy(object) for name in ("target", "direction")},
    )
    return replace(candidates, frame=frame)


def _region(path: Path, row: int, cells: list[str], *, numbered: bool) -> dict[str, str | int]:
    start, end = (
        whole_number(cell, path=path, row=row, column=name)
        for cell, name in zip(cells[1:3], ("start", "end"), strict=True)
    )
    if end < start or (end == start and not numbered):
        raise UserError(f"{path}: row {row} ends at {end:,} and starts at {start:,}, expected end > start; mend it.")
    first, last = UNKNOWN_CPG, UNKNOWN_CPG
    if numbered:
        first, last = (
            whole_number(cell, path=path, row=row, column=name, low=1)
            for cell, name in zip(cells[3:5], ("startCpG", "endCpG"), strict=True)
        )
        if last <= first:
            raise UserError(
                f"{path}: row {row} has startCpG {first:,} and endCpG {last:,}, expected endCpG > startCpG; mend it."
            )
    return {"chromosome": cells[0], "start": start, "end": end, "start_cpg": first, "end_cpg": last}


def _fraction(text: str, *, path: Path, row: int, column: str) -> float:
    if text.strip().upper() in ("", "NA", "NAN"):
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"{path}: row {row}, column '{column}' is '{text[:30]}', expected 0 to 1 or NA; mend the cell.")
    return value


def _frame(path: Path, found: list[dict[str, str | int]], *, what: str) -> pd.DataFrame:
    if not found:
        raise UserError(f"{path}: has no regions, expected {what}; check the path.")
    frame = pd.DataFrame(found)
    if len(set(frame["start_cpg"] > UNKNOWN_CPG)) > 1:
        raise UserError(f"{path}: some rows have CpG numbers and others none, expected all or none; complete them.")
    return frame
