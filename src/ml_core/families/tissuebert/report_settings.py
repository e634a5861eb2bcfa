"""Settings of the mixtures, of the report, and the options of `python -m ml_core predict tissuebert`."""

from __future__ import annotations

from typing import Literal

from ml_core.settings import Settings, setting


class MixturesSettings(Settings):
    """Which mixtures of held-out donors are drawn, and how their proportions are estimated."""

    evidence: Literal["auto", "tables", "model", "both"] = setting(
        "auto",
        description="What says how likely a read is in a tissue: tables of the training donors, the model, or both; "
        "auto takes what does best on mixtures of validation donors, at each depth",
    )
    concentrations: list[float] = setting(
        [0.2, 0.05],
        description="Dirichlet priors over tissues that are tried on validation donors, at each depth; below 1 prefers "
        "few tissues; the unknown one's stays at 0.5",
    )
    donor_correlation: float = setting(
        0.02,
        description="How alike the reads of one donor in one region are; 1/50 of a Beta that sums to 49",
        ge=0,
        lt=1,
    )
    turned: float = setting(
        0.002,
        description="Share of regions that an unknown tissue is expected to turn either way, beside markers of tissues "
        "that the reference lacks",
        gt=0,
        lt=0.25,
    )
    background: str | None = setting(
        None, description="Tissue that most of cell-free DNA is from; empty: the one with most samples"
    )
    depths: list[int] = setting([5, 30, 100], description="Mean reads in a region of the mixtures", unit="reads")
    cfdna: int = setting(16, description="Mixtures like cell-free DNA (85 to 97 % background) at each depth", ge=2)
    dirichlet: int = setting(8, description="Mixtures of all tissues (Dirichlet) at each depth", ge=0)
    validation: int = setting(10, description="Mixtures of validation donors at each depth, to choose by", ge=2)
    grid_fractions: list[float] = setting(
        [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2], description="Shares of each tissue that are added to the background"
    )
    grid_depths: list[int] = setting([30], description="Mean reads in a region of these", unit="reads")
    grid_repeats: int = setting(2, description="Mixtures for each tissue, share and depth of the grid", ge=1)
    blanks: int = setting(20, description="Mixtures of the background alone, at each depth of the grid", ge=2)
    missing_fractions: list[float] = setting(
        [0.0, 0.05, 0.1, 0.2, 0.3], description="Shares of a tissue that is then taken out of the reference"
    )
    missing_depth: int = setting(30, description="Mean reads in a region of these", unit="reads", ge=1)
    missing_repeats: int = setting(16, description="Mixtures for each of these shares, another tissue in each", ge=1)
    group_share: float = setting(
        0.1, description="Tissues between which so much of a sample can move unseen are one group", gt=0, lt=1
    )
    group_depth: int = setting(30, description="... at so many reads in a region", unit="reads", ge=1)
    bootstrap_draws: int = setting(80, description="Resamplings of the regions behind each interval", ge=20)
    seed: int = setting(0, description="Seed of mixtures and resamplings", ge=0)


class ReportSettings(Settings):
    """What the model is held against, and how often it is asked."""

    pooled_reads: list[int] = setting(
        [10, 50, 200, 500, 1000],
        description="Reads drawn from a test sample at which the named tissue is looked at; 200 is the aim's",
        unit="reads",
    )
    draws: int = setting(20, description="How often they are drawn from each test sample", ge=1)
    without_dna: bool = setting(
        False, description="Train the model once more without the DNA of the regions, to see what it is worth"
    )
    bootstrap_draws: int = setting(
        1000, description="Resamplings behind each standard error, of samples or of reads", ge=10
    )
    ceiling_draws: int = setting(100, description="Simulated regions behind the ceiling of region accuracy", ge=1)
    seed: int = setting(0, description="Seed of draws, resamplings and the ceiling", ge=0)


class PredictSettings(Settings):
    """One new sample."""

    sample: str = setting(description="Its reads or counts: .pat.gz, .beta, bedMethyl, bedGraph or .bam")
    build: str | None = setting(
        None, description="Its genome build, to be compared with the model's; empty: only CpGs and chromosomes are"
    )
    figure: str | None = setting(None, description="PNG of the proportions with their intervals")
    contributions: str | None = setting(
        None, description="TSV of what each region says for each tissue, in nats; the answer shows the strongest"
    )
    shown_regions: int = setting(10, description="Regions in the answer", ge=1)
    draws: int = setting(200, description="Resamplings of the regions behind each interval", ge=20)
    seed: int = setting(0, description="Seed of those", ge=0)
