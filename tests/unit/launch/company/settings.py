"""How long it takes, and what is planted."""

from __future__ import annotations

from typing import Literal

from ml_core.settings import Settings, setting


class ModelSettings(Settings):
    nproc: int = setting(2, description="Processes", ge=1, affects_result=False)
    epochs: int = setting(2, description="Epochs", ge=1)
    seconds_per_epoch: float = setting(0.0, description="Length of an epoch", unit="s", ge=0, affects_result=False)
    fault: Literal["none", "user", "fault", "killed"] = setting("none", description="What ends the first epoch")
    fault_rank: int = setting(1, description="On which rank")
    hangs: bool = setting(False, description="Whether the other ranks hang from then on")
