"""Settings of the tiny family."""

from __future__ import annotations

from typing import Literal

from ml_core.settings import Settings, setting


class RawSettings(Settings):
    path: str = setting(description="Text file")


class TableSettings(Settings):
    factor: int = setting(2, description="Factor", ge=1)
    blocking_passes: bool = setting(True, description="Outcome of the blocking check")
    warning_passes: bool = setting(True, description="Outcome of the warning check")
    columns: list[str] = setting(["a"], description="Columns")


class ModelSettings(Settings):
    epochs: int = setting(3, description="Epochs", unit="epochs", ge=1)
    seconds_per_epoch: float = setting(0.0, description="Length of an epoch", unit="s", ge=0, affects_result=False)
    loss: Literal["mse", "mae"] = setting("mse", description="Loss")
    seed: int = setting(0, description="Seed", ge=0)
    note: str | None = setting(None, description="Anything")


class ReportSettings(Settings):
    title: str = setting("Tiny", description="Title")
