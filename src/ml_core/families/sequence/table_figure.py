"""How deep the samples were read, where the depth cuts, and how many ASVs remain of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.overlap import Account

MAIN, EXTRA, LINE = "#4477aa", "#bbbbbb", "#bb5566"
BINS = 40


def draw_table(path: Path, *, table: SampleTable, account: Account) -> None:
    """Reads of each sample before rarefaction, and its ASVs before and after."""
    figure = blank_figure(9.0, 3.4)
    left, right = figure.subplots(1, 2)
    reads = np.maximum(account.all_reads, 1)
    edges = np.geomspace(reads.min(), max(reads.max(), reads.min() + 1), BINS)
    groups = {"main table": (account.all_study == 0, MAIN), "extra tables": (account.all_study > 0, EXTRA)}
    shown = {name: each for name, each in groups.items() if each[0].any()}
    left.hist(
        [reads[mask] for mask, _ in shown.values()],
        bins=edges,
        stacked=True,
        color=[colour for _, colour in shown.values()],
        label=list(shown),
    )
    left.axvline(table.depth, color=LINE, linewidth=1.5, label=f"depth {table.depth:,}")
    left.set(xscale="log", xlabel="reads of ASVs on the tree", ylabel="samples")
    left.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    left.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    left.xaxis.set_minor_formatter(NullFormatter())
    left.legend(frameon=False, fontsize=8)
    before, after = np.diff(table.whole.indptr), np.diff(table.counts.indptr)
    for mask, colour in ((table.study > 0, EXTRA), (table.study == 0, MAIN)):
        right.scatter(before[mask], after[mask], s=5, color=colour, alpha=0.6, linewidths=0)
    most = int(before.max())
    right.plot([0, most], [0, most], color="black", linewidth=0.8)
    right.set(xlabel="ASVs before rarefaction", ylabel="ASVs after", xlim=(0, None), ylim=(0, None))
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)
