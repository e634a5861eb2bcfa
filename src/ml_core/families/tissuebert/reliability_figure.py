"""How often a named tissue is right beside how sure the model was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.metrics.calibration import Reliability

LARGEST_DOT = 160.0


def draw_reliability(curves: Mapping[str, Reliability], path: Path) -> None:
    """One panel for each level; dots grow with the weight of their bin, and the diagonal is what they should meet."""
    figure = blank_figure(2.6 * max(len(curves), 1), 2.9)
    panels = figure.subplots(1, max(len(curves), 1), squeeze=False)[0]
    for panel, (level, found) in zip(panels, curves.items(), strict=False):
        panel.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
        filled = found.weight > 0
        size = LARGEST_DOT * found.weight[filled] / found.weight.max()
        panel.plot(found.confidence[filled], found.accuracy[filled], color="#2b5d8a", linewidth=1)
        panel.scatter(found.confidence[filled], found.accuracy[filled], s=size, color="#2b5d8a", alpha=0.5)
        panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated", title=f"{level}: error {found.error:.3f}")
        panel.title.set_fontsize(9)
        unframe(panel)
    panels[0].set_ylabel("right")
    save_figure(figure, path)
