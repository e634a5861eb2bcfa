"""Tissues as the simulator sees them: in each region shares of unmethylated, mixed and methylated fragments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.settings import RawSettings

# Two are hard to tell apart: the first two of the group gut.
TISSUES = {
    "blood": "blood",
    "colon": "gut",
    "small_intestine": "gut",
    "stomach": "gut",
    "liver": "foregut",
    "pancreas": "foregut",
    "lung": "foregut",
    "thyroid": "foregut",
    "neuron": "brain",
    "oligodendrocyte": "brain",
    "heart": "muscle",
    "skeletal_muscle": "muscle",
    "smooth_muscle": "muscle",
    "kidney": "urinary",
    "bladder": "urinary",
    "prostate": "urinary",
    "breast": "skin",
    "epidermis": "skin",
    "endothelium": "stroma",
    "fibroblast": "stroma",
    "adipose": "stroma",
    "bone": "stroma",
}
BLOOD, ALIKE = "blood", ("colon", "small_intestine")
U_SHARE = 0.9  # of markers that are unmethylated in their target, as in published atlases of cell types
# Mean and concentration of the telling share, so that 36 types of 25 markers tell as much as a published atlas does:
# one read .052 at best, 50 reads .736, 200 reads .999 (.052, .735, 1.00; docs/log.md).
TARGET, BACKGROUND, RELATED = (0.87, 20.0), (0.012, 20.0), (0.1, 8.0)
RELATED_SHARE = 0.15  # of markers in which the target's group shows a part of it
MIXED = (1.0, 12.0)  # Beta, of what is left
PLAIN = (0.5, 3.0)  # regions that tell nothing: one share for all tissues
PLAIN_CONCENTRATION = 60.0


@dataclass(frozen=True)
class Atlas:
    """tissues (name, group); fractions [regions, tissues, 3] float64 of U, X and M fragments; target and direction
    [regions] str objects, "" where the region tells nothing."""

    tissues: pd.DataFrame
    fractions: np.ndarray
    target: np.ndarray
    direction: np.ndarray


def draw_atlas(settings: RawSettings, *, rng: np.random.Generator) -> Atlas:
    """Markers take turns in telling a tissue; the two alike share most of theirs."""
    names = list(TISSUES)[: settings.tissues]
    groups = np.array([TISSUES[name] for name in names])
    tissues = pd.DataFrame({"name": names, "group": groups})
    markers = max(round(settings.marker_share * settings.regions), 1)
    target = np.full(settings.regions, "", object)
    target[:markers] = [names[number % len(names)] for number in range(markers)]
    rng.shuffle(target)
    direction = np.where(target == "", "", np.where(rng.random(len(target)) < U_SHARE, "U", "M")).astype(object)
    telling = np.stack([_telling(str(each), names=names, groups=groups, settings=settings, rng=rng) for each in target])
    mixed = rng.beta(*MIXED, telling.shape) * (1 - telling)
    other = 1 - telling - mixed
    methylated = direction[:, None] == "M"
    fractions = np.stack([np.where(methylated, other, telling), mixed, np.where(methylated, telling, other)], axis=2)
    return Atlas(tissues, fractions, target, direction)


def atlas_of(fractions: np.ndarray, *, types: tuple[str, ...], target: np.ndarray, direction: np.ndarray) -> Atlas:
    """The atlas of a user's file: fractions [regions, types] of U fragments; what is not known is as in the others."""
    telling = np.where(np.isnan(fractions), np.nanmean(fractions, axis=1, keepdims=True), fractions)
    telling = np.nan_to_num(telling, nan=0.5)
    mixed = MIXED[0] / sum(MIXED) * (1 - telling)
    tissues = pd.DataFrame({"name": list(types), "group": list(types)})
    return Atlas(tissues, np.stack([telling, mixed, 1 - telling - mixed], axis=2), target, direction)


def _telling(
    target: str, *, names: list[str], groups: np.ndarray, settings: RawSettings, rng: np.random.Generator
) -> np.ndarray:
    """[tissues] share of the fragments that tell the target, or one share for all where there is none."""
    if not target:
        mean = rng.beta(*(PLAIN[0] * PLAIN[1], (1 - PLAIN[0]) * PLAIN[1]))
        return _beta(rng, mean, PLAIN_CONCENTRATION, len(names))
    share = _beta(rng, *BACKGROUND, len(names))
    own = names.index(target)
    if rng.random() < RELATED_SHARE:
        related = groups == groups[own]
        share[related] = _beta(rng, *RELATED, int(related.sum()))
    share[own] = _beta(rng, *TARGET, 1)[0]
    if target in ALIKE and set(ALIKE) <= set(names) and rng.random() < settings.alike_share:
        share[[names.index(name) for name in ALIKE]] = share[own]
    return share


def _beta(rng: np.random.Generator, mean: float, concentration: float, size: int) -> np.ndarray:
    mean = min(max(mean, 0.01), 0.99)
    return rng.beta(mean * concentration, (1 - mean) * concentration, size)
