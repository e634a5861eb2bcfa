"""One sample's file, of any format, as rows of the regions of a panel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.hdf5_writer import Rows
from ml_core.families.tissuebert.readers.bedmethyl import read_bedmethyl
from ml_core.families.tissuebert.readers.beta import read_beta
from ml_core.families.tissuebert.readers.fasta import unknown_chromosome
from ml_core.families.tissuebert.readers.pat import PatChunk, read_pat
from ml_core.families.tissuebert.readers.sheet import format_of
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.rows import CpgStates, HasWindows, Numbered, counted, merged, overlaps

KIND_OF = {"pat": "reads", "bam": "reads", "beta": "counts", "bedmethyl": "counts"}
BUILD = "expected files of one build; give the sample and the panel of the same build"


class HasRegions(HasWindows, Protocol):
    """A panel, or an open `hdf5.Regions`."""

    @property
    def regions(self) -> pd.DataFrame: ...
    @property
    def sequence_source(self) -> str: ...
    @property
    def build(self) -> str: ...
    @property
    def cpgs(self) -> int: ...


def kind_of(path: Path) -> str:
    """ "reads" or "counts", by the name of the file."""
    return KIND_OF[format_of(path.name, where=str(path.parent))]


def read_sample(path: Path, *, panel: HasRegions, min_observed: int, min_mapping_quality: int = 20) -> Rows:
    """Rows of the sample's file: .pat.gz, .beta, bedMethyl, bedGraph or .bam, told apart by the name's end.

    UserError where the file is of another build than the panel (chromosome names, CpG numbers out of range or on other
    chromosomes), where it has nothing on the panel, or where its format needs what the panel does not know.
    """
    format_ = format_of(path.name, where=str(path.parent))
    if format_ == "beta":
        rows = counted(*_from_beta(path, panel=panel), windows=panel, min_observed=min_observed)
    elif format_ == "bedmethyl":
        rows = counted(*_from_positions(path, panel=panel), windows=panel, min_observed=min_observed)
    elif format_ == "bam":
        from ml_core.families.tissuebert.readers.bam import read_bam

        places = positions(path, panel=panel)
        rows = merged(
            [read_bam(path, places=places, regions=panel.regions, min_mapping_quality=min_mapping_quality)],
            windows=panel,
            min_observed=min_observed,
        )
    else:
        rows = merged(_from_pat(path, panel=panel), windows=panel, min_observed=min_observed)
    if not len(rows):
        raise UserError(
            f"{path}: has no read with {min_observed} CpGs in any of the panel's {len(panel.n_cpg):,} regions"
            f"{_of_build(panel)}, {BUILD}, or lower regions.min_observed."
        )
    return rows


def positions(path: Path, *, panel: HasRegions) -> np.ndarray:
    """int64 [regions, most CpGs] on the chromosome, -1 behind the last; UserError where they are not known."""
    if panel.sequence_source != "fasta":
        raise UserError(
            f"{path}: gives CpGs by position, which the panel does not know with sequence_source="
            f"{panel.sequence_source}; set raw.fasta and panel.sequence_source=fasta, or give .pat.gz or .beta."
        )
    start = panel.regions["start"].to_numpy(np.int64)[:, None]
    return np.where(panel.cpg_position == NO_PLACE, -1, start + panel.cpg_position)


def numbered(path: Path, *, panel: HasRegions) -> Numbered:
    """The panel's windows by CpG number; UserError where it has none."""
    if (panel.regions["start_cpg"] < 1).any():
        raise UserError(
            f"{path}: gives CpGs by number, which the panel does not have; set raw.fasta, or give a BED5 with startCpG "
            "and endCpG."
        )
    return Numbered.of(panel.regions, most=panel.cpg_position.shape[1])


def _from_pat(path: Path, *, panel: HasRegions) -> Iterator[CpgStates]:
    windows = numbered(path, panel=panel)
    by_number = panel.regions["chromosome"].to_numpy(object)
    chromosomes: set[str] = set()
    for chunk in read_pat(path):
        chromosomes |= set(pd.unique(chunk.chromosome))
        last = chunk.start_cpg + chunk.length - 1
        if panel.cpgs and last.max() > panel.cpgs:
            at = int(last.argmax())
            raise UserError(
                f"{path}: row {chunk.row + at} has CpG {int(last[at]):,}, but there are {panel.cpgs:,}"
                f"{_of_build(panel)}, {BUILD}."
            )
        _refuse_other_chromosomes(path, chunk, windows=windows, by_number=by_number, panel=panel)
        yield overlaps(chunk.start_cpg, chunk.state, chunk.length, chunk.count, windows=windows)
    wanted = sorted(set(by_number))
    if not chromosomes & set(wanted):
        raise UserError(unknown_chromosome(path, wanted[0], known=sorted(chromosomes)))


def _refuse_other_chromosomes(
    path: Path, chunk: PatChunk, *, windows: Numbered, by_number: np.ndarray, panel: HasRegions
) -> None:
    """A read whose number lies in a region must be on that region's chromosome."""
    place = np.searchsorted(windows.end_cpg, chunk.start_cpg, side="right")
    inside = place < len(windows.end_cpg)
    inside[inside] = windows.start_cpg[place[inside]] <= chunk.start_cpg[inside]
    wanted = by_number[windows.order[place[inside]]]
    wrong = wanted != chunk.chromosome[inside]
    if not wrong.any():
        return
    at = int(np.flatnonzero(inside)[wrong.argmax()])
    found, expected = chunk.chromosome[at], wanted[wrong.argmax()]
    if found in (f"chr{expected}", expected.removeprefix("chr")):
        raise UserError(unknown_chromosome(path, expected, known=[found]))
    raise UserError(
        f"{path}: row {chunk.row + at} has CpG {chunk.start_cpg[at]:,} on {found}, in the panel{_of_build(panel)} it "
        f"is on {expected}, {BUILD}."
    )


def _from_beta(path: Path, *, panel: HasRegions) -> tuple[np.ndarray, np.ndarray]:
    """(methylated, covered) int64 [regions, most CpGs]."""
    windows = numbered(path, panel=panel)
    counts = read_beta(path)
    needed = int(windows.end_cpg.max()) - 1
    if (panel.cpgs and len(counts) != panel.cpgs) or len(counts) < needed:
        raise UserError(
            f"{path}: has {len(counts):,} CpGs, the panel{_of_build(panel)} needs "
            f"{f'{panel.cpgs:,}' if panel.cpgs else f'at least {needed:,}'}, {BUILD}."
        )
    place = panel.regions["start_cpg"].to_numpy(np.int64)[:, None] - 1 + np.arange(windows.most)
    there = panel.cpg_position != NO_PLACE
    found = np.zeros((*there.shape, 2), np.int64)
    found[there] = counts[place[there]]
    return found[..., 0], found[..., 1]


def _from_positions(path: Path, *, panel: HasRegions) -> tuple[np.ndarray, np.ndarray]:
    places = positions(path, panel=panel)
    counts = read_bedmethyl(path)
    known, wanted = set(counts["chromosome"]), sorted(set(panel.regions["chromosome"]))
    if not known & set(wanted):
        raise UserError(unknown_chromosome(path, wanted[0], known=sorted(known)))
    region, cpg = np.nonzero(places >= 0)
    sites = pd.DataFrame(
        {
            "chromosome": panel.regions["chromosome"].to_numpy(object)[region],
            "position": places[region, cpg],
        }
    )
    found = sites.merge(counts, on=["chromosome", "position"], how="left").fillna({"meth": 0, "cov": 0})
    meth, cov = np.zeros(places.shape, np.int64), np.zeros(places.shape, np.int64)
    meth[region, cpg], cov[region, cpg] = found["meth"], found["cov"]
    return meth, cov


def _of_build(panel: HasRegions) -> str:
    return f" (build {panel.build})" if panel.build else ""
