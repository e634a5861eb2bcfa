"""How many donors of each tissue are learnt from, validated on and tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.tissuebert.donors import SPLITS, DonorSplits

COLOURS = ("#4477aa", "#ccbb44", "#bb5566")
HEIGHT_IN = 0.18


def draw_splits(path: Path, *, samples: pd.DataFrame, splits: DonorSplits) -> None:
    """A bar for each tissue; one without a red part cannot be tested."""
    names = sorted(set(samples["tissue"]) - {""})
    figure = blank_figure(7.0, 1.2 + HEIGHT_IN * len(names))
    axes = figure.subplots()
    start = np.zeros(len(names))
    for number, name in enumerate(SPLITS):
        own = samples[splits.part == number].groupby("tissue")["donor"].nunique()
        count = own.reindex(names).fillna(0).to_numpy()
        axes.barh(names, count, left=start, color=COLOURS[number], label=name)
        start += count
    axes.invert_yaxis()
    axes.set(xlabel="donors")
    axes.legend(frameon=False)
    unframe(axes)
    save_figure(figure, path)
