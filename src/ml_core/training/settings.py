"""The settings of every training run. A family's model settings inherit them. No torch here."""

from __future__ import annotations

from typing import Literal

import pydantic

from ml_core.settings import Settings, setting


class TrainingSettings(Settings):
    """How a model is trained: length, batches, optimizer, schedule, what is best, checkpoints, machine, logs.

    Fields that change only the speed, the logs or what is kept on disk stay out of the fingerprint, and may change
    between an interrupted run and the one that goes on with it.
    """

    # ---- length and batches
    max_epochs: int = setting(100, description="Passes over the training samples at most", unit="epochs", ge=1)
    batch_size: int = setting(32, description="Samples of one forward pass", unit="samples", ge=1)
    accumulate_batches: int = setting(
        1, description="Forward passes of one optimizer step; it then sees batch_size times as many samples", ge=1
    )
    samples_per_epoch: int | None = setting(
        None, description="Samples drawn for one epoch; empty takes each once", unit="samples", ge=1
    )
    seed: int = setting(0, description="Seed of sample order, augmentation and dropout", ge=0)

    # ---- optimizer (AdamW) and schedule
    learning_rate: float = setting(1e-3, description="Highest learning rate", gt=0)
    reference_batch_size: int | None = setting(
        None,
        description="Samples of an optimizer step for which learning_rate is meant; it is scaled linearly to "
        "the actual ones. Empty: no scaling",
        unit="samples",
        ge=1,
    )
    weight_decay: float = setting(0.01, description="Decoupled weight decay of AdamW", ge=0)
    beta1: float = setting(0.9, description="AdamW's decay of the gradient's mean", ge=0, lt=1)
    beta2: float = setting(0.999, description="AdamW's decay of the gradient's square", ge=0, lt=1)
    clip_norm: float | None = setting(1.0, description="Highest norm of the gradient; empty: no clipping", gt=0)
    schedule: Literal["constant", "exponential", "cosine", "warmup_cosine", "onecycle"] = setting(
        "cosine", description="Course of the learning rate over all optimizer steps"
    )
    warmup_fraction: float = setting(
        0.1, description="Share of all steps in which warmup_cosine and onecycle rise, at most", gt=0, lt=1
    )
    warmup_steps: int | None = setting(
        None,
        description="Steps in which warmup_cosine rises, capped at warmup_fraction of all; empty: that fraction",
        unit="optimizer steps",
        ge=1,
    )
    final_learning_rate: float = setting(1e-6, description="Where exponential, cosine and warmup_cosine end", ge=0)
    onecycle_div: float = setting(25.0, description="onecycle starts at learning_rate / onecycle_div", ge=1)
    onecycle_final_div: float = setting(400.0, description="onecycle ends at its start / onecycle_final_div", ge=1)
    frozen: list[str] = setting(
        [],
        description="Parts that are not trained: modules or parameters by name, with wildcards (encoder.layers.*)",
    )

    # ---- what is best, and when to stop
    monitor: str = setting(
        "val_loss", description="Which validation value chooses the best model: val_loss or val_<metric>"
    )
    monitor_mode: Literal["min", "max"] = setting("min", description="Whether low or high values of monitor are good")
    patience: int | None = setting(
        10,
        description="Stop after so many validations in a row without improvement; empty: never",
        unit="validations",
        ge=1,
    )
    validate_every_epochs: int = setting(
        1, description="Validate every so many epochs, and after the last", unit="epochs", ge=1
    )

    # ---- checkpoints
    keep_top: int = setting(3, description="Checkpoints kept of the best by monitor", ge=0, affects_result=False)
    checkpoint_every_epochs: int | None = setting(
        None,
        description="Keep a checkpoint for good every so many epochs; empty: none",
        unit="epochs",
        ge=1,
        affects_result=False,
    )
    checkpoint_every_minutes: float = setting(
        10.0, description="Within an epoch, save the last state this often", unit="minutes", gt=0, affects_result=False
    )
    resume_limit: int = setting(
        5, description="How often a run may be resumed without finishing an epoch between", ge=0, affects_result=False
    )

    # ---- machine
    device: Literal["auto", "cuda", "mps", "cpu"] = setting(
        "auto", description="Where to compute; auto takes CUDA, then MPS, then CPU", affects_result=False
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", description="Arithmetic; bf16 and fp16 mean mixed precision, auto takes what the device does well"
    )
    deterministic: bool = setting(
        False, description="Only deterministic kernels: slower on a GPU, the same bits each time"
    )
    threads: int | None = setting(
        None, description="CPU threads of PyTorch; empty: PyTorch's choice", unit="threads", ge=1, affects_result=False
    )
    num_workers: int = setting(
        0,
        description="Processes that fetch batches; 0 fetches in the training process",
        unit="processes",
        ge=0,
        affects_result=False,
    )
    pin_memory: bool = setting(
        True, description="Workers hand batches over in page-locked memory (CUDA only)", affects_result=False
    )
    persistent_workers: bool = setting(True, description="Keep the workers alive between epochs", affects_result=False)
    prefetch_factor: int = setting(
        2, description="Batches that each worker fetches ahead", unit="batches", ge=1, affects_result=False
    )

    # ---- logs
    log_every_steps: int = setting(
        10,
        description="Record losses, learning rate and gradient norm this often",
        unit="optimizer steps",
        ge=1,
        affects_result=False,
    )
    histogram_every_epochs: int | None = setting(
        10,
        description="Histograms of weights and gradients this often; empty: none",
        unit="epochs",
        ge=1,
        affects_result=False,
    )
    figure_every_epochs: int | None = setting(
        1,
        description="Validation figures (confusion matrix) this often; empty: none",
        unit="epochs",
        ge=1,
        affects_result=False,
    )
    tensorboard: bool = setting(
        True, description="Write TensorBoard event files beside the CSV files", affects_result=False
    )
    progress_bar: bool = setting(True, description="Show a progress bar when run in a terminal", affects_result=False)

    @property
    def window_size(self) -> int:
        """Samples of one optimizer step."""
        return self.batch_size * self.accumulate_batches

    @pydantic.field_validator("final_learning_rate")
    @classmethod
    def _falls(cls, value: float, info: pydantic.ValidationInfo) -> float:
        cosine = info.data.get("schedule") in ("cosine", "warmup_cosine")
        if cosine and value > info.data.get("learning_rate", value):
            raise ValueError(
                f"it must not be above learning_rate ({info.data['learning_rate']}) when the schedule is a cosine"
            )
        if info.data.get("schedule") == "exponential" and value == 0:
            raise ValueError("it must be above 0 when the schedule is exponential, which multiplies its way there")
        return value

    @pydantic.field_validator("frozen")
    @classmethod
    def _names_parts(cls, value: list[str]) -> list[str]:
        if any(not pattern.strip() for pattern in value):
            raise ValueError("each entry must name a module or parameter; take the empty entry out")
        return value

    @pydantic.field_validator("monitor_mode")
    @classmethod
    def _wants_low_losses(cls, value: str, info: pydantic.ValidationInfo) -> str:
        if value == "max" and str(info.data.get("monitor", "")).endswith("loss"):
            raise ValueError(f"with monitor {info.data['monitor']} it would keep the worst model; use min")
        return value
