"""The settings of every training run. A family's model settings inherit them. No torch here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import pydantic

from ml_core.artifacts import sha256
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
    schedule: Literal["constant", "cosine", "warmup_cosine", "onecycle"] = setting(
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
    final_learning_rate: float = setting(1e-6, description="Where cosine and warmup_cosine end", ge=0)
    onecycle_div: float = setting(25.0, description="onecycle starts at learning_rate / onecycle_div", ge=1)
    onecycle_final_div: float = setting(400.0, description="onecycle ends at its start / onecycle_final_div", ge=1)
    frozen: list[str] = setting(
        [],
        description="Parts that are not trained: modules or parameters by name, with wildcards (encoder.layers.*)",
    )
    thaw_epochs: dict[str, int] = setting(
        {},
        description="An entry of frozen -> finished epochs after which that part is trained too",
        unit="epochs",
    )
    learning_rates: dict[str, float] = setting(
        {},
        description="Modules or parameters by name, with wildcards -> their own highest learning rate, which follows "
        "the same schedule; the first entry that names a parameter counts",
    )

    # ---- start from another model's weights
    init_from: str | None = setting(
        None,
        description="A new run starts from these weights: the folder of a checkpoint, an artifact or a run; empty: "
        "from scratch",
    )
    init_prefixes: dict[str, str] = setting(
        {},
        description="Beginning of a tensor's name there -> its beginning here, for instance encoder. -> base.; with "
        "any given, only tensors under them are taken",
    )
    init_missing: list[str] = setting(
        [], description="Tensors of this model that the weights need not have: names with wildcards (head.*)"
    )
    init_unexpected: list[str] = setting(
        [], description="Tensors that are taken from there but fit nothing here, and are left out: names with wildcards"
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
    skip_limit: int = setting(
        10,
        description="fp16: so many gradients in a row that are not finite end the run; no scale cures NaN in the data",
        unit="optimizer steps",
        ge=1,
        affects_result=False,
    )
    compile: bool = setting(
        False, description="Compile the model (torch.compile); needs a C++ compiler, equal within rounding"
    )
    deterministic: bool = setting(
        False, description="Only deterministic kernels: slower on a GPU, the same bits each time"
    )
    threads: int | None = setting(
        None, description="CPU threads of PyTorch; empty: PyTorch's choice", unit="threads", ge=1, affects_result=False
    )
    nproc: int = setting(
        1,
        description="Processes that train together on this machine; the optimizer step stays the same, each takes its "
        "share of it",
        unit="processes",
        ge=1,
        affects_result=False,
    )
    gradient_checkpointing: bool = setting(
        False,
        description="Recompute the inner values of the task's `checkpointed` parts in the backward pass: less memory, "
        "more time, the same bits",
        affects_result=False,
    )
    on_oom: Literal["stop", "split"] = setting(
        "stop",
        description="Out of memory in training: stop with advice, or halve the samples of a forward pass and go on; "
        "the optimizer step stays the same within rounding, unless the model has dropout or batch norm",
        affects_result=False,
    )
    expandable_segments: bool = setting(
        False,
        description="CUDA: let memory segments grow, which wastes less where batches differ in size",
        affects_result=False,
    )
    clear_cache_every_steps: int | None = setting(
        None,
        description="Give an accelerator's unused memory back this often; empty: never",
        unit="optimizer steps",
        ge=1,
        affects_result=False,
    )
    allocator: Literal["system", "keep"] = setting(
        "system",
        description="CPU memory (Linux with glibc): keep holds freed memory for the next tensor instead of giving it "
        "back to the system",
        affects_result=False,
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

    def result_fields(self) -> dict[str, Any]:
        """As always, but `init_from` counts by the weights there, and `learning_rates` by their order too.

        Raises UserError if there are no weights.
        """
        fields = super().result_fields()
        fields["learning_rates"] = [[pattern, rate] for pattern, rate in self.learning_rates.items()]
        if self.init_from is not None:
            from ml_core.training.checkpoint import weights_file  # imports torch

            fields["init_from"] = sha256(weights_file(Path(self.init_from).expanduser()))
        return fields

    @pydantic.field_validator("final_learning_rate")
    @classmethod
    def _falls(cls, value: float, info: pydantic.ValidationInfo) -> float:
        cosine = info.data.get("schedule") in ("cosine", "warmup_cosine")
        if cosine and value > info.data.get("learning_rate", value):
            raise ValueError(
                f"it must not be above learning_rate ({info.data['learning_rate']}) when the schedule is a cosine"
            )
        return value

    @pydantic.field_validator("frozen", "init_missing", "init_unexpected")
    @classmethod
    def _names_parts(cls, value: list[str]) -> list[str]:
        if any(not pattern.strip() for pattern in value):
            raise ValueError("each entry must name a module or parameter; take the empty entry out")
        return value

    @pydantic.field_validator("thaw_epochs")
    @classmethod
    def _thaws_what_is_frozen(cls, value: dict[str, int], info: pydantic.ValidationInfo) -> dict[str, int]:
        frozen = info.data.get("frozen", list(value))
        for part, epochs in value.items():
            if part not in frozen:
                raise ValueError(
                    f"'{part}' is no entry of frozen ({', '.join(frozen) or 'which is empty'}); add it there"
                )
            if epochs < 1:
                raise ValueError(f"'{part}' must be frozen for at least 1 epoch; otherwise take it out of frozen")
        return value

    @pydantic.field_validator("learning_rates")
    @classmethod
    def _rates_are_positive(cls, value: dict[str, float]) -> dict[str, float]:
        for pattern, rate in value.items():
            if not pattern.strip() or not 0 < rate < math.inf:
                raise ValueError(f"'{pattern}' -> {rate:g} must name a part and be above 0; freeze what is not to move")
        return value

    @pydantic.field_validator("monitor_mode")
    @classmethod
    def _wants_low_losses(cls, value: str, info: pydantic.ValidationInfo) -> str:
        if value == "max" and str(info.data.get("monitor", "")).endswith("loss"):
            raise ValueError(f"with monitor {info.data['monitor']} it would keep the worst model; use min")
        return value
