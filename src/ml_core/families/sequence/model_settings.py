"""Settings of the two stages that train: sizes, what is learnt from, losses."""

from __future__ import annotations

from typing import Literal

import pydantic

from ml_core.settings import setting
from ml_core.training.settings import TrainingSettings


class SequenceTrainingSettings(TrainingSettings):
    """What the two stages have in common: whom they learn from, and the course of the learning rate."""

    learn_from: Literal["train", "train+validation"] = setting(
        "train",
        description="train: the validation samples choose the epoch; train+validation: they are learnt from too, and "
        "the last epoch is kept. Test samples never are",
    )
    schedule: Literal["constant", "exponential", "cosine", "warmup_cosine", "onecycle"] = setting(
        "onecycle", description="Course of the learning rate over all optimizer steps"
    )
    warmup_fraction: float = setting(
        0.3, description="Share of all steps in which warmup_cosine and onecycle rise, at most", gt=0, lt=1
    )
    histogram_every_epochs: int | None = setting(
        None,
        description="Histograms of weights and gradients this often; empty: none",
        unit="epochs",
        ge=1,
        affects_result=False,
    )


class EncoderSettings(SequenceTrainingSettings):
    """The network without its target head, and its pretraining on UniFrac and hidden nucleotides.

    Sizes as on a laptop; the seed's are dim 128, asv_layers 4, patch_bp 1, batch of 8 samples. An epoch deals the
    samples into blocks, within which all pairs are compared: a block is one sample of the trainer.
    """

    # ---- the network
    dim: int = setting(64, description="Width of both transformers", unit="channels", ge=4)
    asv_layers: int = setting(2, description="Layers over the patches of a sequence", ge=1)
    sample_layers: int = setting(1, description="Layers over the ASVs of a sample", ge=0)
    heads: int = setting(4, description="Attention heads", ge=1)
    dropout: float = setting(0.0, description="Dropout in both transformers", ge=0, lt=1)
    patch_bp: int = setting(5, description="Nucleotides of one place of the transformer", unit="bp", ge=1)
    pooling: Literal["place", "attention"] = setting(
        "place", description="Embedding of an ASV: linear in the states of all places, or their learned mean"
    )
    embedding_dim: int = setting(256, description="Embedding of an ASV", unit="channels", ge=1)
    clades: int = setting(768, description="Soft clades, whose presence in a sample UniFrac is computed from", ge=1)
    nucleotide_hidden: int = setting(256, description="Width of the head that names hidden nucleotides", ge=1)

    # ---- what is learnt from
    extra_samples: bool = setting(True, description="Learn from the samples of extra tables too")
    block_samples: int = setting(16, description="Samples that are compared with one another", unit="samples", ge=2)
    token_limit: int = setting(
        1024,
        description="ASVs of a sample at most: of more, some are drawn by abundance in training, and the most abundant "
        "are taken elsewhere",
        unit="ASVs",
        ge=1,
    )
    asv_chunk_size: int | None = setting(
        None,
        description="Encode so many ASVs at a time and recompute them in the backward pass: less memory; empty: all",
        unit="ASVs",
        ge=1,
        affects_result=False,
    )
    mask_share: float = setting(0.15, description="Share of the nucleotides that are hidden", gt=0, lt=1)
    mask_span_bp: int = setting(1, description="Length of a hidden run", unit="bp", ge=1)
    masked_sequences: float = setting(
        1.0, description="Share of a batch's sequences in which nucleotides are hidden", gt=0, le=1
    )

    # ---- losses; one of 0 is left out
    unifrac_weight: float = setting(20.0, description="Factor of the mean squared error of distances", ge=0)
    nucleotide_weight: float = setting(1.0, description="Factor of the cross entropy of hidden nucleotides", ge=0)

    # ---- training
    max_epochs: int = setting(12, description="Passes over the training samples at most", unit="epochs", ge=1)
    batch_size: int = setting(1, description="Blocks of one forward pass", unit="blocks", ge=1)
    learning_rate: float = setting(2e-3, description="Highest learning rate", gt=0)

    @pydantic.model_validator(mode="after")
    def _can_be_built(self) -> EncoderSettings:
        if self.unifrac_weight == 0 and self.nucleotide_weight == 0:
            raise ValueError("unifrac_weight and nucleotide_weight are both 0, expected at least one loss; raise one")
        if self.dim % self.heads:
            raise ValueError(f"dim is {self.dim}, expected a multiple of heads ({self.heads})")
        return self


class PredictorSettings(SequenceTrainingSettings):
    """The target, what is fed besides the sample, the head, and the finetuning.

    The defaults are the recipe that won on ECAM: a deep head with much dropout on the frozen encoder.
    """

    # ---- the target
    target: str = setting("trait", description="Column of the metadata that is predicted")
    kind: Literal["auto", "regression", "classification"] = setting(
        "auto", description="auto: regression where all known values are numbers"
    )
    transform: Literal["none", "sqrt", "log1p"] = setting(
        "none", description="Regression: of the target, before it is standardised on the training samples"
    )
    loss: Literal["huber", "mse", "mae", "quantile"] = setting("mae", description="Regression: loss of the target")
    quantiles: list[float] = setting([0.05, 0.5, 0.95], description="loss quantile: which, with 0.5 among them")
    class_weights: Literal["none", "balanced"] = setting(
        "balanced", description="Classification: balanced weighs a class by the inverse of its share in training"
    )
    covariates: list[str] = setting(
        [], description="Columns of categories that are known at prediction time too; they gate the sample's embedding"
    )
    count_weight: float = setting(
        0.0,
        description="Factor of the loss of the count head, which says how many ASVs a sample has; 0: none",
        ge=0,
    )

    # ---- what is learnt from
    encoder: Literal["pretrained", "new"] = setting(
        "pretrained", description="Start from the encoder's weights, or from random ones"
    )
    freeze_base: bool = setting(
        True, description="Leave the encoder as it is: each sample is then encoded once per rarefaction, and cached"
    )
    label_share: float = setting(1.0, description="Share of the training groups whose labels are used", gt=0, le=1)
    rarefactions: int = setting(
        8,
        description="Rarefactions of the training samples, of which each epoch sees another; 1: the table's own only",
        ge=1,
    )
    predict_rarefactions: int = setting(
        8, description="Rarefactions of a sample whose predictions are averaged; 1: the table's own only", ge=1
    )
    members: int = setting(3, description="Heads that are trained side by side and averaged", ge=1)

    interval: float = setting(
        0.9,
        description="Regression: share of samples of new groups whose number the interval shall contain",
        gt=0,
        lt=1,
    )
    interval_folds: int = setting(
        5,
        description="Regression: folds of the labelled groups, each predicted by heads fitted to the others; their "
        "errors are the interval. It costs as many further trainings; 0: no interval",
        ge=0,
    )
    interval_bands: int = setting(
        3, description="Regression: ranges of predictions with an interval of their own, at most", ge=1
    )

    # ---- the sample embedding
    landmarks: int = setting(
        1024, description="ASVs of training at most, the most frequent ones, that others are compared with", ge=1
    )
    channels: int = setting(700, description="Channels that say how near an ASV is to the landmarks, at most", ge=1)
    sharpness: float = setting(2.0, description="How fast ASVs cease to be neighbours as their embeddings differ", gt=0)

    # ---- the head
    hidden: int = setting(512, description="Width of the head", unit="channels", ge=1)
    head_layers: int = setting(4, description="Hidden layers of the head", ge=0)
    head_dropout: float = setting(0.5, description="Dropout behind each hidden layer of the head", ge=0, lt=1)
    input_dropout: float = setting(0.3, description="Dropout of the sample's embedding", ge=0, lt=1)

    # ---- training
    max_epochs: int = setting(10, description="Passes over the training samples at most", unit="epochs", ge=1)
    batch_size: int = setting(32, description="Samples of one forward pass", unit="samples", ge=1)
    learning_rate: float = setting(1e-3, description="Highest learning rate", gt=0)
    weight_decay: float = setting(0.05, description="Decoupled weight decay of AdamW", ge=0)
    patience: int | None = setting(
        50,
        description="Stop after so many validations in a row without improvement; empty: never",
        unit="validations",
        ge=1,
    )

    @pydantic.field_validator("quantiles")
    @classmethod
    def _has_the_median(cls, values: list[float]) -> list[float]:
        if 0.5 not in values or any(not 0 < value < 1 for value in values) or sorted(values) != values:
            raise ValueError("expected rising numbers between 0 and 1, with 0.5 among them")
        return values
