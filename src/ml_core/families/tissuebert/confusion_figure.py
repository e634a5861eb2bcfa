"""Confusion matrices: which tissue each true tissue is taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml_core.canvas import blank_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCH_PER_TISSUE, MARGIN_INCH = 0.17, 1.6


def draw_confusion(matrices: Mapping[str, np.ndarray], *, tissues: Sequence[str]) -> Figure:
    """One panel for each matrix [tissues, tissues] by its label; rows (true tissues) sum to 1 or are blank."""
    side = MARGIN_INCH + INCH_PER_TISSUE * len(tissues)
    figure = blank_figure(side * len(matrices) + 0.6, side)
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    for panel, (label, matrix) in zip(panels, matrices.items(), strict=True):
        total = matrix.sum(1, keepdims=True)
        shares = np.divide(matrix, total, out=np.full(matrix.shape, np.nan), where=total > 0)
        image = panel.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        panel.set_title(f"{matrix.sum():,.0f} {label}", fontsize=9)
        panel.set_xticks(range(len(tissues)), tissues, rotation=90, fontsize=6)
        panel.set_yticks(range(len(tissues)), tissues, fontsize=6)
        panel.set_xlabel("named", fontsize=8)
    panels[0].set_ylabel("true", fontsize=8)
    figure.colorbar(image, ax=list(panels), label="share of the true tissue", fraction=0.03)
    return figure
