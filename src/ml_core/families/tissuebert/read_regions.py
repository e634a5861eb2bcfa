"""Tables of reads as regions and samples: a region for each place and sequence, a sample for each class and split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.donors import SPLITS, TEST, TRAIN, VALIDATION, DonorSplits
from ml_core.families.tissuebert.hdf5_writer import Rows
from ml_core.families.tissuebert.panel_data import Panel
from ml_core.families.tissuebert.readers.read_table import ReadTable, read_table
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.rows import CpgStates, merged
from ml_core.families.tissuebert.settings import PanelSettings
from ml_core.families.tissuebert.tokens import NOT_OBSERVED, WINDOW_BP, cpg_places, tokenize
from ml_core.families.tissuebert.windows import padded

SHORTEST = 0


@dataclass(frozen=True)
class GivenReads:
    """A panel made of read tables. region and sample [n] int64: those of each read; table: all reads."""

    panel: Panel
    splits: DonorSplits
    table: ReadTable
    region: np.ndarray
    sample: np.ndarray

    def rows_of(self, sample: int) -> Rows:
        """The reads of one sample, alike ones in one; also those without a CpG."""
        mine = self.sample == sample
        places = self.panel.cpg_position[self.region[mine]]
        there = places != NO_PLACE
        states = np.full(places.shape, NOT_OBSERVED, np.uint8)
        states[there] = self.table.states[mine][np.nonzero(there)[0], places[there]]
        reads = CpgStates(self.region[mine], states, np.ones(int(mine.sum()), np.int64))
        return merged([reads], windows=self.panel, min_observed=SHORTEST)


def given_reads(files: dict[str, Path], *, settings: PanelSettings, build: str) -> GivenReads:
    """The split is that of the tables; a share of the training reads is set aside for validation."""
    names = [name for name in ("reads_train", "reads_test") if name in files]
    tables = [read_table(files[name]) for name in names]
    table = ReadTable(
        pd.concat([each.frame for each in tables], ignore_index=True),
        np.concatenate([each.letters for each in tables]),
        np.concatenate([each.states for each in tables]),
    )
    part = np.repeat([TRAIN if name == "reads_train" else TEST for name in names], [len(each) for each in tables])
    train = np.flatnonzero(part == TRAIN)
    aside = np.random.default_rng(settings.seed).permutation(train)[: max(round(settings.validation * len(train)), 1)]
    part[aside] = VALIDATION
    region, panel_regions, letters = _regions(table)
    samples, sample = _samples(table, part=part)
    tissues = pd.DataFrame({"name": sorted(set(table.frame["tissue"]))})
    position, n_cpg = padded([np.flatnonzero(each) for each in cpg_places(letters)])
    panel = Panel(
        regions=panel_regions,
        tissues=tissues.assign(group=tissues["name"]),
        samples=samples.drop(columns="part"),
        dna_tokens=tokenize(letters),
        cpg_position=position,
        n_cpg=n_cpg,
        information=np.full((len(n_cpg), len(tissues)), np.nan),
        build=build,
        sequence_source="fasta",
        cpgs=0,
    )
    splits = DonorSplits(samples["part"].to_numpy(np.int8), _untestable(samples), given=True)
    return GivenReads(panel, splits, table, region, sample)


def _regions(table: ReadTable) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """(region of each read, frame of the regions, their letters): reads of one place and sequence share a region."""
    keys = table.frame[["chromosome", "start", "block"]].assign(letters=[each.tobytes() for each in table.letters])
    region = keys.groupby(["chromosome", "start", "block", "letters"], sort=True).ngroup().to_numpy(np.int64)
    first = np.unique(region, return_index=True)[1]
    frame = table.frame.iloc[first][["chromosome", "start", "block"]].reset_index(drop=True)
    frame = frame.assign(end=frame["start"] + WINDOW_BP, start_cpg=0, end_cpg=0, target="", direction="")
    columns = ["chromosome", "start", "end", "start_cpg", "end_cpg", "target", "direction", "block"]
    return region, frame[columns], table.letters[first]


def _samples(table: ReadTable, *, part: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    keys = pd.DataFrame({"tissue": table.frame["tissue"], "part": part})
    sample = keys.groupby(["tissue", "part"], sort=True).ngroup().to_numpy(np.int64)
    frame = keys.iloc[np.unique(sample, return_index=True)[1]].reset_index(drop=True)
    names = [f"{tissue}_{SPLITS[each]}" for tissue, each in zip(frame["tissue"], frame["part"], strict=True)]
    frame = frame.assign(file="", name=names, donor=frame["tissue"], coverage=np.nan, synthetic=False, kind="reads")
    return frame[["file", "name", "donor", "tissue", "coverage", "synthetic", "kind", "part"]], sample


def _untestable(samples: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(set(samples["tissue"]) - set(samples["tissue"][samples["part"] == TEST])))
