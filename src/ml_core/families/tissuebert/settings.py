"""Settings of the data stages: where reads come from, which regions are kept, and which donors are judged."""

from __future__ import annotations

from typing import Literal

import pydantic

from ml_core.settings import Settings, setting

FILE_HELP = "${NAME} in it is an environment variable"


class RawSettings(Settings):
    """Where the data come from: the simulator, your own files, or URLs with their sha256."""

    source: Literal["simulated", "path", "url"] = setting("simulated", description="Where the data come from")
    build: str = setting("", description="path, url: name of the genome build, hg19 or hg38 for instance")

    samples: str | None = setting(
        None,
        description="path, url: sheet of the samples, .tsv or .csv with columns file, donor, tissue and, if there are "
        "any, name, group, coverage, synthetic; files are .pat.gz, .beta, bedMethyl, bedGraph or .bam, beside the "
        "sheet or with their path; " + FILE_HELP,
    )
    files: list[str] = setting([], description="url: the files that the sheet names")
    panel: str | None = setting(None, description="path, url: candidate regions, BED3 or BED5 (startCpG, endCpG)")
    atlas: str | None = setting(
        None,
        description="path, url: reference atlas, TSV with chr, start, end, startCpG, endCpG, target, name, direction "
        "and a column for each type; its regions serve as panel where none is set. simulated: the tissues to simulate",
    )
    fasta: str | None = setting(
        None, description="path, url: genome of that build, or windows for regions.sequence_source=surrogate; FASTA"
    )
    reads_train: str | None = setting(
        None, description="path, url: table of reads (MethylBERT's columns) to train on, instead of samples and panel"
    )
    reads_test: str | None = setting(None, description="path, url: table of reads to test on")
    sha256: dict[str, str] = setting(
        {}, description="url: sha256 of each file by its field; the files of a list are field_1, field_2, ..."
    )

    regions: int = setting(330, description="simulated: candidate regions", ge=10)
    marker_share: float = setting(0.85, description="simulated: share of them that tell a tissue", gt=0, le=1)
    tissues: int = setting(22, description="simulated: tissues", ge=3, le=22)
    donors: int = setting(6, description="simulated: donors of each tissue but blood, one sample each", ge=1)
    blood_share: float = setting(0.27, description="simulated: share of the samples that are blood", gt=0, lt=0.9)
    depth: float = setting(60.0, description="simulated: mean fragments of a sample over a region", unit="x", gt=0)
    blood_deeper: float = setting(
        2.4,
        description="simulated: so many times as deep are samples of blood, for a mixture like cell-free DNA draws "
        "nearly all its reads from one of them, none twice",
        ge=1,
    )
    copies: int = setting(
        0, description="simulated: further copies of each sample at half the depth, of the same donor", ge=0
    )
    donor_concentration: float = setting(
        60.0, description="simulated: how alike donors of a tissue are (beta-binomial, higher is more)", gt=0
    )
    alike_share: float = setting(
        0.85, description="simulated: share of their markers that two tissues have in common", ge=0, le=1
    )
    fragment_bp: int = setting(167, description="simulated: mean length of fragments", unit="bp", ge=50)
    fragment_sd_bp: float = setting(25.0, description="simulated: spread of that length", unit="bp", ge=0)
    co_methylation_bp: float = setting(
        200.0, description="simulated: distance over which neighbouring CpGs agree", unit="bp", gt=0
    )
    seed: int = setting(0, description="simulated: seed", ge=0)

    @pydantic.model_validator(mode="after")
    def _one_kind_of_input(self) -> RawSettings:
        if self.reads_test and not self.reads_train:
            raise ValueError("reads_test is set without reads_train; set both")
        if self.reads_train and (self.samples or self.panel):
            raise ValueError("reads_train is set beside samples or panel, expected one of the two; unset one")
        return self


class PanelSettings(Settings):
    """Which regions are kept, by what training donors say of them; so donors are dealt here, and splits shows it."""

    max_regions: int = setting(0, description="Regions that are kept, each tissue's most telling ones; 0: all", ge=0)
    min_cpgs: int = setting(4, description="Windows with fewer CpGs are left out", unit="CpGs", ge=1)
    sequence_source: Literal["fasta", "surrogate", "none"] = setting(
        "fasta",
        description="DNA of a region: the genome's, another window with as many CpGs (a mere id), or none at all",
    )
    min_observed: int = setting(
        3, description="Reads with fewer CpGs observed in a region are left out here too", unit="CpGs", ge=1
    )
    test: float = setting(0.2, description="Share of each tissue's donors for the test set, at least one", gt=0, lt=1)
    validation: float = setting(0.15, description="Share of them for validation, at least one", gt=0, lt=1)
    seed: int = setting(0, description="Seed of the deal of donors and of surrogate windows", ge=0)


class RegionsSettings(Settings):
    """What is kept of the reads."""

    min_observed: int = setting(
        3, description="Reads with fewer CpGs observed in a region are left out", unit="CpGs", ge=1
    )
    min_mapping_quality: int = setting(20, description="BAM: reads mapped with less are left out", ge=0)
    compress: bool = setting(
        False, description="Write gzip: a fifth of the disk, but the reads are then read into memory as a whole"
    )
    max_empty: float = setting(
        0.2, description="Share of regions without a read in any sample above which a check warns", ge=0, le=1
    )


class SplitsSettings(Settings):
    """How copies of a sample are looked for across splits."""

    near_duplicate: float = setting(
        0.45,
        description="Correlation of two samples' deviations from their tissue, region by region, above which one is a "
        "copy of the other: independent donors have about 0, a copy at half the coverage 0.6",
        gt=0,
        lt=1,
    )
