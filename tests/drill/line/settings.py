"""Settings of the line."""

from __future__ import annotations

from ml_core.settings import Settings, setting
from ml_core.training.settings import TrainingSettings


class PointsSettings(Settings):
    points: int = setting(64, description="Points", ge=8)


class ModelSettings(TrainingSettings):
    seconds_per_batch: float = setting(
        0.0, description="Length of a batch, so that there is time to be killed", unit="s", ge=0, affects_result=False
    )
    ballast_mb: int = setting(0, description="Zeros written beside the weights", unit="MB", ge=0)


class ReportSettings(Settings):
    digits: int = setting(6, description="Digits shown", ge=1)
