"""The family on one page."""

from __future__ import annotations

from ml_core.stages import Family, Stage
from tests.unit.launch.company.settings import ModelSettings

FAMILY = Family(
    name="company",
    title="Company",
    description="Counts epochs together.",
    package="tests.unit.launch.company",
    stages=(Stage("model", ModelSettings, "train:train", "Epochs.", training="train:prepare"),),
)
