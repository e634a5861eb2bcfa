"""The target of a sample: a number or a class, as the network sees it and as the user does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.sequence.model_settings import PredictorSettings

REGRESSION, CLASSIFICATION = "regression", "classification"
FORWARD = {"none": lambda x: x, "sqrt": np.sqrt, "log1p": np.log1p}
BACKWARD = {"none": lambda x: x, "sqrt": lambda x: np.square(np.maximum(x, 0)), "log1p": np.expm1}
SHOWN = 5  # values that an error names


@dataclass(frozen=True)
class Target:
    """Fitted on training samples only. mean and scale are of the transformed target; weights [classes] average 1."""

    column: str
    kind: str
    transform: str = "none"
    mean: float = 0.0
    scale: float = 1.0
    classes: list[str] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def encode(self, values: pd.Series) -> np.ndarray:
        """Known values [n] as float32 [n], standardised, or as int64 [n] into `classes`; UserError for a new class."""
        if self.kind == REGRESSION:
            known = FORWARD[self.transform](values.to_numpy(float))
            return ((known - self.mean) / self.scale).astype(np.float32)
        names = as_text(values)
        if len(new := sorted(set(names) - set(self.classes))):
            raise UserError(
                f"predictor.target: column '{self.column}' has '{new[0]}' outside the training samples only, expected "
                f"{', '.join(self.classes)}; leave those samples out, or deal the groups anew (splits.seed)."
            )
        return np.array([self.classes.index(name) for name in names], np.int64)

    def decode(self, standardised: np.ndarray) -> np.ndarray:
        """Standardised numbers of any shape in the target's own units."""
        return np.asarray(BACKWARD[self.transform](standardised * self.scale + self.mean), float)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fit_target(values: pd.Series, *, settings: PredictorSettings) -> Target:
    """The target of the training samples' known values [n].

    Raises UserError where there are none, text where numbers are asked for, numbers that the transform cannot take, or
    one class only.
    """
    column = str(settings.target)
    if not len(values):
        raise UserError(f"predictor.target: no training sample has a value in column '{column}'; name another column.")
    numeric = pd.api.types.is_numeric_dtype(values)
    kind = settings.kind if settings.kind != "auto" else (REGRESSION if numeric else CLASSIFICATION)
    if kind == CLASSIFICATION:
        return _classes(column, as_text(values), settings=settings)
    if not numeric:
        raise UserError(
            f"predictor.target: column '{column}' holds text ({_some(values)}), expected numbers for regression; set "
            "predictor.kind to classification, or name another column."
        )
    known = values.to_numpy(float)
    if settings.transform != "none" and known.min() < 0:
        raise UserError(
            f"predictor.transform: column '{column}' has {known.min():g}, which {settings.transform} does not take; "
            "set it to none."
        )
    moved = FORWARD[settings.transform](known)
    if moved.std() == 0:
        raise UserError(
            f"predictor.target: column '{column}' is {known[0]:g} in all training samples, expected numbers that "
            "differ; name another column."
        )
    return Target(column, kind, settings.transform, float(moved.mean()), float(moved.std()))


def as_text(values: pd.Series) -> np.ndarray:
    """Class names [n]; whole numbers without a decimal point."""
    return np.array([f"{each:g}" if isinstance(each, float) else str(each) for each in values], object)


def _classes(column: str, names: np.ndarray, *, settings: PredictorSettings) -> Target:
    classes, counts = np.unique(names.astype(str), return_counts=True)
    if len(classes) < 2:
        raise UserError(
            f"predictor.target: column '{column}' has one class only ('{classes[0]}') among the training samples, "
            "expected at least two; name another column."
        )
    weights = np.ones(len(classes))
    if settings.class_weights == "balanced":
        weights = counts.sum() / (len(classes) * counts)
    return Target(column, CLASSIFICATION, classes=[str(name) for name in classes], weights=[float(w) for w in weights])


def _some(values: pd.Series) -> str:
    there = list(dict.fromkeys(as_text(values)))
    return ", ".join(there[:SHOWN]) + (", ..." if len(there) > SHOWN else "")
