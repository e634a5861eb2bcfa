"""Settings of the stages model and calibration: sizes, what is learnt from, losses, temperatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pydantic

from ml_core.settings import Settings, setting
from ml_core.training.settings import TrainingSettings


@dataclass(frozen=True)
class Sizes:
    """Sizes of the transformer; places: what it reads, every base of a window or its CpGs only."""

    places: Literal["bases", "cpgs"]
    dim: int
    layers: int
    heads: int
    feed_dim: int
    dropout: float


PROFILES = {
    "cpu_small": Sizes(places="cpgs", dim=64, layers=2, heads=4, feed_dim=256, dropout=0.0),
    "full": Sizes(places="bases", dim=512, layers=6, heads=8, feed_dim=2048, dropout=0.1),
}
PROFILE = "empty: the profile's"


class ModelSettings(TrainingSettings):
    """The transformer over the bases of a region and the states of its CpGs, and how it is trained.

    A sample of the trainer is a bag of reads of one sequenced sample. The defaults are meant for a CPU.
    """

    # ---- the network
    profile: Literal["cpu_small", "full"] = setting(
        "cpu_small",
        description="Sizes: cpu_small reads the CpGs with 2 layers of width 64, full all 150 bases with 6 of width 512",
    )
    places: Literal["profile", "bases", "cpgs"] = setting(
        "profile", description="What the transformer reads: as the profile has it, every base, or the CpGs only"
    )
    dim: int | None = setting(None, description=f"Width; {PROFILE}", unit="channels", ge=4)
    layers: int | None = setting(None, description=f"Layers; {PROFILE}", ge=0)
    heads: int | None = setting(None, description=f"Attention heads; {PROFILE}", ge=1)
    feed_dim: int | None = setting(
        None, description=f"Width within the feed-forward networks; {PROFILE}", unit="channels", ge=1
    )
    dropout: float | None = setting(
        None, description=f"Dropout of embeddings, attention and layers; {PROFILE}", ge=0, lt=1
    )
    norm_first: bool = setting(False, description="LayerNorm ahead of each part of a layer, not behind it as in BERT")
    use_dna: bool = setting(
        True, description="Read the DNA of the regions; false: all tokens are unknown, to see what DNA is worth"
    )
    region_embedding: bool = setting(
        True, description="A learned vector for each region; without it a region is known by its DNA and CpGs alone"
    )
    region_rank: int = setting(
        0,
        description="Channels by which a region's tissues may be moved from the tables of the training donors; 0: none",
        ge=0,
    )

    # ---- what is learnt from
    bag_reads: int = setting(
        32, description="Reads of a bag, all of one sample; 1: each read by itself", unit="reads", ge=1
    )
    region_weights: Literal["uniform", "information"] = setting(
        "uniform", description="Regions of a sample are drawn alike, or by what they tell of the tissue"
    )
    cpg_dropout: float = setting(
        0.05, description="Chance that an observed CpG is hidden, in training only", ge=0, lt=1
    )
    table_folds: int = setting(
        4,
        description="Training donors are dealt into so many folds; a read meets tables of the other folds' donors, as "
        "a new donor's will",
        ge=2,
    )
    donor_correlation: float = setting(
        0.02, description="Tables: how alike two reads of one donor in one region are, beyond their tissue", ge=0, lt=1
    )

    # ---- losses; one of 0 is left out
    tissue_weight: float = setting(
        0.0,
        description="Factor of the cross entropy of the tissue head, by read; 0: no such loss, for single reads tell "
        "so little that it only disturbs what bags teach",
        ge=0,
    )
    label_smoothing: float = setting(0.1, description="Label smoothing of the tissue head", ge=0, lt=1)
    likelihood_weight: float = setting(1.0, description="Factor of the cross entropy of the likelihoods, by read", ge=0)
    bag_weight: float = setting(
        1.0, description="Factor of the cross entropy of the likelihoods summed over a bag", ge=0
    )

    # ---- training
    max_epochs: int = setting(8, description="Epochs at most", unit="epochs", ge=1)
    samples_per_epoch: int | None = setting(
        1500, description="Bags drawn for one epoch; empty: as many as hold each training read once", unit="bags", ge=1
    )
    batch_size: int = setting(16, description="Bags of one forward pass", unit="bags", ge=1)
    learning_rate: float = setting(2e-3, description="Highest learning rate", gt=0)
    schedule: Literal["constant", "exponential", "cosine", "warmup_cosine", "onecycle"] = setting(
        "onecycle", description="Course of the learning rate over all optimizer steps"
    )
    validation_reads: int | None = setting(
        2000, description="Reads of a validation sample that are judged at most; empty: all", unit="reads", ge=1
    )
    histogram_every_epochs: int | None = setting(
        None,
        description="Histograms of weights and gradients this often; empty: none",
        unit="epochs",
        ge=1,
        affects_result=False,
    )

    @property
    def sizes(self) -> Sizes:
        """The profile's sizes with those laid over them that are given."""
        profile = PROFILES[self.profile]
        return Sizes(
            places=profile.places if self.places == "profile" else self.places,
            dim=profile.dim if self.dim is None else self.dim,
            layers=profile.layers if self.layers is None else self.layers,
            heads=profile.heads if self.heads is None else self.heads,
            feed_dim=profile.feed_dim if self.feed_dim is None else self.feed_dim,
            dropout=profile.dropout if self.dropout is None else self.dropout,
        )

    @pydantic.model_validator(mode="after")
    def _can_be_built(self) -> ModelSettings:
        sizes = self.sizes
        if sizes.dim % sizes.heads:
            raise ValueError(f"dim is {sizes.dim} and heads {sizes.heads}, expected a multiple; change one of them")
        if self.tissue_weight == 0 and self.likelihood_weight == 0 and self.bag_weight == 0:
            raise ValueError("all three loss weights are 0, expected at least one loss; raise one")
        return self


class CalibrationSettings(Settings):
    """Temperatures fitted on validation donors, and how they are judged on test donors."""

    bins: int = setting(15, description="Bins of the calibration error and of the reliability figure", ge=2)
    pooled_reads: list[int] = setting(
        [10, 50, 200],
        description="Reads drawn from a sample at each depth that pooled calibration is looked at",
        unit="reads",
    )
    draws: int = setting(
        200, description="How often they are drawn from each sample; 20 draws err by 0.05 by chance alone", ge=1
    )
    seed: int = setting(0, description="Seed of those draws", ge=0)

    @pydantic.field_validator("pooled_reads")
    @classmethod
    def _rises(cls, values: list[int]) -> list[int]:
        if not values or values != sorted(set(values)) or values[0] < 1:
            raise ValueError("expected rising numbers of reads, at least one")
        return values
