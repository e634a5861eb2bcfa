"""How deep the samples were read, tissue by tissue."""

from __future__ import annotations

from pathlib import Path

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.tissuebert.hdf5 import Regions

COLOUR, COPY = "#4477aa", "#bbbbbb"
HEIGHT_IN = 0.18


def draw_regions(path: Path, *, regions: Regions) -> None:
    """A dot for each sample; grey ones are synthetic copies."""
    names = sorted(set(regions.samples["tissue"]))
    figure = blank_figure(7.0, 1.2 + HEIGHT_IN * len(names))
    axes = figure.subplots()
    place = regions.samples["tissue"].map({name: number for number, name in enumerate(names)})
    for synthetic, colour in ((True, COPY), (False, COLOUR)):
        mine = regions.samples["synthetic"] == synthetic
        axes.scatter(regions.samples["coverage"][mine], place[mine], s=9, color=colour, alpha=0.6, linewidths=0)
    axes.set_yticks(range(len(names)), [name or "not known" for name in names])
    axes.invert_yaxis()
    axes.set(xlabel="mean reads over a CpG of the panel", xlim=(0, None))
    unframe(axes)
    save_figure(figure, path)
