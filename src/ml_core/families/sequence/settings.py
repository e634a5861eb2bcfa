"""Settings of the data stages: where table, tree and metadata come from, what is kept, distances and splits."""

from __future__ import annotations

from typing import Literal

import pydantic

from ml_core.settings import Settings, setting

FILE_HELP = "${NAME} in it is an environment variable"


class RawSettings(Settings):
    """Where the data come from: the simulator, your own files, or URLs with their sha256."""

    source: Literal["simulated", "path", "url"] = setting("simulated", description="Where the data come from")

    table: str | None = setting(
        None,
        description="path, url: counts of ASVs by sample, BIOM (HDF5 or JSON), QIIME 2 .qza or TSV; " + FILE_HELP,
    )
    tree: str | None = setting(None, description="path, url: phylogeny of the ASVs, Newick or .qza")
    metadata: str | None = setting(None, description="path, url: one row per sample, .tsv or .csv")
    sequences: str | None = setting(
        None, description="path, url: FASTA or .qza with the sequences of ASVs that are not called by their sequence"
    )
    distances: str | None = setting(
        None,
        description="path, url: UniFrac distances computed elsewhere, .h5, TSV, .qza or .npy (.npy: in the order of "
        "the table's samples); none: they are computed",
    )
    extra_tables: list[str] = setting(
        [], description="path, url: further tables, whose samples serve pretraining only and need no metadata"
    )
    extra_trees: list[str] = setting(
        [],
        description="path, url: trees of the further tables, where `tree` lacks their ASVs; parts of one larger tree",
    )
    extra_sequences: list[str] = setting([], description="path, url: sequences of the further tables")
    sha256: dict[str, str] = setting(
        {}, description="url: sha256 of each file by its field; the files of a list are field_1, field_2, ..."
    )

    subjects: int = setting(40, description="simulated: subjects, each sampled several times", ge=5)
    samples_per_subject: int = setting(12, description="simulated: samples of each subject", ge=1)
    extra_samples: int = setting(
        200, description="simulated: samples of a further table, of other subjects and without metadata", ge=0
    )
    asvs: int = setting(400, description="simulated: ASVs of the tree, before chimeras and reads with N", ge=20)
    length_bp: int = setting(150, description="simulated: length of the sequences", unit="bp", ge=40)
    clades: int = setting(24, description="simulated: clades that grow and shrink with the trait", ge=2)
    trait_effect: float = setting(
        1.2, description="simulated: how strongly a clade's log abundance depends on the trait", ge=0
    )
    subject_effect: float = setting(
        1.0, description="simulated: standard deviation of a subject's own log abundances of clades", ge=0
    )
    noise: float = setting(
        1.0, description="simulated: standard deviation of the log abundances of a sample's ASVs", ge=0
    )
    reads: int = setting(6000, description="simulated: median reads of a sample", ge=10)
    reads_sigma: float = setting(0.5, description="simulated: spread of the logarithm of the reads", ge=0)
    chimera_share: float = setting(0.02, description="simulated: chimeras per ASV", ge=0, le=1)
    n_share: float = setting(0.02, description="simulated: copies of an ASV with an N, per ASV", ge=0, le=1)
    seed: int = setting(0, description="simulated: seed", ge=0)


class TableSettings(Settings):
    """What is kept of the files, and how deep samples are rarefied."""

    depth: int = setting(2000, description="Reads that each sample is rarefied to; samples below it are left out", ge=1)
    seed: int = setting(0, description="Seed of the rarefaction", ge=0)
    max_bp: int = setting(150, description="Letters of a sequence that are kept, from its start", unit="bp", ge=10)
    sample_column: str | None = setting(
        None, description="Column of the metadata that holds the samples' ids; none: found by its usual names"
    )
    missing_values: list[str] = setting(
        ["", "na", "nan", "none", "missing", "not applicable", "not collected", "not provided", "unknown"],
        description="Values of the metadata, in lower case, that mean: not known",
    )
    without_metadata: Literal["drop", "error"] = setting(
        "drop", description="Samples of the main table that the metadata do not have"
    )
    outside_tree: Literal["drop", "error"] = setting("drop", description="ASVs that no tip of the tree stands for")
    without_sequence: Literal["drop", "error"] = setting("drop", description="ASVs whose sequence is not known")
    unrooted: Literal["midpoint", "keep", "error"] = setting(
        "midpoint",
        description="A tree whose root has three branches or more: rooted at its midpoint, taken as rooted there, or "
        "refused",
    )
    missing_lengths: Literal["zero", "error"] = setting("zero", description="Branches of the tree without a length")
    negative_lengths: Literal["zero", "error"] = setting("zero", description="Branches of negative length")
    duplicate_tips: Literal["first", "error"] = setting(
        "error", description="Tips of one name: the first is taken, or the tree is refused"
    )

    @pydantic.field_validator("missing_values")
    @classmethod
    def _lower_case(cls, values: list[str]) -> list[str]:
        if any(value != value.strip().lower() for value in values):
            raise ValueError("each value must be in lower case, without spaces around it")
        return values


class UnifracSettings(Settings):
    """Which distance between samples, and in pieces of what size it is computed."""

    metric: Literal["unweighted", "weighted_normalized"] = setting(
        "unweighted",
        description="unweighted: share of the branch length of two samples that only one has; weighted_normalized: by "
        "abundance",
    )
    block_samples: int = setting(
        512, description="Samples of a block of the matrix: bounds the memory", unit="samples", ge=1
    )
    min_agreement: float = setting(
        0.98, description="Imported distances: R2 with those of the rarefied table below which a check warns", le=1
    )


class SplitsSettings(Settings):
    """Which samples are learnt from and which are judged; no group (a subject) is in two splits."""

    group_column: str | None = setting(
        "subject", description="Column of the metadata that names a sample's group; none: each sample is its own group"
    )
    folds: int = setting(5, description="Groups are dealt into so many folds", ge=2)
    fold: int = setting(0, description="Fold that is the test set", ge=0)
    validation: float = setting(0.15, description="Share of the remaining groups for validation", gt=0, lt=1)
    stratify_by: str | None = setting(
        None, description="Column whose group mean (numbers) or most frequent value (text) each fold has alike; or none"
    )
    draws: int = setting(100, description="Deals of groups, of which the most even in samples is taken", ge=1)
    seed: int = setting(0, description="Seed of the splits", ge=0)

    @pydantic.model_validator(mode="after")
    def _fold_exists(self) -> SplitsSettings:
        if self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}, expected 0 to {self.folds - 1} with {self.folds} folds")
        return self
