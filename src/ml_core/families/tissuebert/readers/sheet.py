"""The sheet of the samples: which file is whose, and of which tissue."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.plain import rows

WHAT = "a sheet of samples as .tsv or .csv with a header (file, donor, tissue; name, group, coverage, synthetic)"
NEEDED = ("file", "donor", "tissue")
OPTIONAL = ("name", "group", "coverage", "synthetic")
ENDINGS = {
    ".pat.gz": "pat",
    ".pat": "pat",
    ".beta": "beta",
    ".bam": "bam",
    ".bed": "bedmethyl",
    ".bed.gz": "bedmethyl",
    ".bedmethyl": "bedmethyl",
    ".bedmethyl.gz": "bedmethyl",
    ".bedgraph": "bedmethyl",
    ".bedgraph.gz": "bedmethyl",
    ".cov": "bedmethyl",
    ".cov.gz": "bedmethyl",
}
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


def read_sheet(path: Path) -> pd.DataFrame:
    """Frame: file, name, donor, tissue, group (the tissue itself where there is none), coverage (NaN: not known),
    synthetic. UserError where a column or a value is missing or a name stands there twice."""
    table = rows(path, what=WHAT)
    _, header = next(table)
    header = [name.strip() for name in header]
    absent = [name for name in NEEDED if name not in header]
    if absent:
        raise UserError(f"{path}: has no column '{absent[0]}', expected {WHAT}; add it.")
    found = []
    for row, cells in table:
        if len(cells) != len(header):
            raise UserError(f"{path}: row {row} has {len(cells)} cells, expected {len(header)} as in the header.")
        cell = dict(zip(header, (each.strip() for each in cells), strict=True))
        empty = [name for name in ("file", "donor") if not cell[name]]
        if empty:
            raise UserError(f"{path}: row {row} has no {empty[0]}, expected one for each sample; fill it in.")
        format_of(cell["file"], where=f"{path}: row {row}")
        found.append(_sample(cell, path=path, row=row))
    if not found:
        raise UserError(f"{path}: has no samples, expected {WHAT}; add them.")
    frame = pd.DataFrame(found)
    twice = frame["name"][frame["name"].duplicated()]
    if len(twice):
        raise UserError(f"{path}: names sample '{twice.iloc[0]}' twice, expected a name for each; rename one.")
    return frame


def format_of(name: str, *, where: str) -> str:
    """pat, beta, bedmethyl or bam, by how the file's name ends."""
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return ENDINGS[ending]
    raise UserError(f"{where} names '{name}', expected a file that ends with {', '.join(ENDINGS)}; rename or convert.")


def _sample(cell: dict[str, str], *, path: Path, row: int) -> dict[str, str | float | bool]:
    synthetic, coverage = cell.get("synthetic", "").lower(), cell.get("coverage", "")
    if synthetic not in TRUE + FALSE:
        raise UserError(f"{path}: row {row}, column 'synthetic' is '{synthetic}', expected true or false; mend it.")
    try:
        depth = float(coverage) if coverage else float("nan")
    except ValueError as error:
        raise UserError(f"{path}: row {row}, column 'coverage' is '{coverage}', expected a number; mend it.") from error
    name = cell.get("name") or Path(cell["file"]).name.split(".")[0]
    group = cell.get("group") or cell["tissue"]
    described: dict[str, str | float | bool] = {"file": cell["file"], "name": name, "donor": cell["donor"]}
    return described | {"tissue": cell["tissue"], "group": group, "coverage": depth, "synthetic": synthetic in TRUE}
