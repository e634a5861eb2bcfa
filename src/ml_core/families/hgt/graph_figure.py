"""Edges kept and rows dropped by relation, on a logarithmic scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml_core.families.hgt.accounting import Ledger

KEPT, DROPPED = "#4477aa", "#ccbb44"
MOST_RELATIONS = 40


def draw_relations(path: Path, *, ledger: Ledger) -> None:
    """Two bars for each relation: edges kept, and rows dropped for whatever reason."""
    accounts = sorted(ledger.accounts, key=lambda account: (account.kept, account.rows_in))[-MOST_RELATIONS:]
    figure = Figure(figsize=(7.0, 1.0 + 0.24 * len(accounts)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = np.arange(len(accounts))
    axes.barh(at + 0.2, [account.kept for account in accounts], height=0.38, color=KEPT, label="edges kept")
    axes.barh(
        at - 0.2,
        [sum(account.dropped.values()) for account in accounts],
        height=0.38,
        color=DROPPED,
        label="rows dropped",
    )
    axes.set_yticks(at, [account.relation for account in accounts], fontsize=8)
    axes.set(xscale="symlog", xlabel="number", ylim=(-0.6, len(accounts) - 0.4))
    axes.legend(loc="lower right", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
