"""Settings of the report, and the options of `python -m ml_core predict sequence`."""

from __future__ import annotations

from ml_core.settings import Settings, setting


class ReportSettings(Settings):
    """What the model is held against, and how much of the labels it is asked to do with."""

    forest: bool = setting(True, description="Train a random forest of 500 trees on the same samples")
    neighbours: int = setting(10, description="Samples nearest by UniFrac whose mean is a baseline", ge=1)
    mask_share: float = setting(0.15, description="Share of the nucleotides of test ASVs that are hidden", gt=0, lt=1)
    label_shares: list[float] = setting(
        [], description="Shares of the training groups' labels at which the model is trained anew, for instance 0.25, 1"
    )
    label_modes: list[str] = setting(
        ["frozen", "finetuned", "scratch", "random"],
        description="frozen: heads on the pretrained encoder; finetuned: both; scratch: both, from random weights; "
        "random: heads on those",
    )
    bootstrap_draws: int = setting(1000, description="Resamplings of the test groups behind each interval", ge=10)
    shown_asvs: int = setting(20, description="ASVs in the table of attention", ge=1)
    seed: int = setting(0, description="Seed of the forest, of hidden nucleotides and of resamplings", ge=0)


class PredictSettings(Settings):
    """New samples: their table, and where their ASVs are called otherwise, their sequences."""

    table: str = setting(description="Counts of ASVs by sample: BIOM, .qza or TSV")
    sequences: str | None = setting(None, description="FASTA or .qza of ASVs that are not called by their sequence")
    metadata: str | None = setting(None, description="Metadata with the covariates that the model was trained with")
    rarefactions: int | None = setting(None, description="Rarefactions that are averaged; empty: as in training", ge=1)
