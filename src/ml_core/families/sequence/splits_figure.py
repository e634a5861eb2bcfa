"""How many samples and groups each split has, and whether they are alike in what they were stratified by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.sequence.data import SPLITS, GroupSplits

COLOURS = ("#4477aa", "#ddaa33", "#bb5566", "#bbbbbb")


def draw_splits(path: Path, *, splits: GroupSplits, values: pd.Series | None) -> None:
    """Samples of each group, group beside group; and the cumulated distribution or the shares of `values` [n]."""
    figure = blank_figure(9.0, 3.2)
    left, right = figure.subplots(1, 2)
    for number, name in enumerate(SPLITS):
        rows = splits.samples_in(name)
        if not len(rows):
            continue
        start = 0
        for count in np.sort(np.unique(splits.group[rows].astype(str), return_counts=True)[1])[::-1]:
            left.barh(number, count, left=start, color=COLOURS[number], edgecolor="white", linewidth=0.5)
            start += count
    there = [number for number, name in enumerate(SPLITS) if len(splits.samples_in(name))]
    left.set_yticks(there, [SPLITS[number] for number in there])
    left.invert_yaxis()
    left.set(xlabel="samples, one box for each group")
    if values is None:
        right.set_axis_off()
    elif values.dtype == object:
        shares = _shares(splits, values)
        shares.plot.barh(ax=right, color=list(COLOURS[: shares.shape[1]]), legend=False)
        right.set(xlabel="share of the split's samples", ylabel=str(values.name))
    else:
        for number, name in enumerate(SPLITS[:-1]):
            known = np.sort(values.iloc[splits.samples_in(name)].dropna().to_numpy())
            right.plot(known, np.arange(1, len(known) + 1) / max(len(known), 1), color=COLOURS[number], label=name)
        right.set(xlabel=str(values.name), ylabel="share of samples up to here", ylim=(0, 1))
        right.legend(frameon=False)
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)


def _shares(splits: GroupSplits, values: pd.Series) -> pd.DataFrame:
    """Value x split."""
    parts = {name: values.iloc[splits.samples_in(name)].value_counts(normalize=True) for name in SPLITS[:-1]}
    return pd.DataFrame(parts).fillna(0).sort_index(ascending=False)
