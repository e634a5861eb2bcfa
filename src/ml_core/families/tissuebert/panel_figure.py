"""How many CpGs the regions have, and how much each tells of the tissue that it tells most of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.tissuebert.panel_data import Panel

COLOUR = "#4477aa"
BINS = 40


def draw_panel(path: Path, *, panel: Panel) -> None:
    """Two histograms over regions; the second is left out where information was not looked at."""
    figure = blank_figure(9.0, 3.2)
    left, right = figure.subplots(1, 2)
    most = int(panel.n_cpg.max(initial=1))
    left.hist(panel.n_cpg, bins=np.arange(most + 2) - 0.5, color=COLOUR)
    left.set(xlabel="CpGs of a region", ylabel="regions")
    if np.isnan(panel.information).any():
        right.set_axis_off()
    else:
        right.hist(panel.information.max(axis=1), bins=BINS, color=COLOUR)
        right.set(xlabel="bits of a fragment about the tissue that the region tells best", ylabel="regions")
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)
