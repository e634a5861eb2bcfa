"""The command champion: which report's model a family puts forward, and what became of the last one that was made."""

from __future__ import annotations

import argparse
from typing import Any

from ml_core import journal
from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.families import get_family
from ml_core.promotion import champion_of, history_file, promote_by_hand
from ml_core.stages import Family

DONE = 0


def add_command(commands: Any, data: argparse.ArgumentParser) -> None:
    """Add it to the shell's parser. `data` carries the option --data."""
    naming = commands.add_parser(
        "champion", parents=[data], help="the model that a family puts forward, and why the last one is it or is not"
    )
    naming.add_argument("family")
    naming.add_argument("--promote", metavar="REPORT", help="make this report's model champion, whatever its figures")
    naming.add_argument("--history", action="store_true", help="every report that was considered, oldest first")
    naming.set_defaults(command=champion)


def champion(options: argparse.Namespace) -> int:
    """Print the champion and the last decision; UserError where no report was considered yet."""
    family, store = get_family(options.family), Store(options.data)
    if options.promote:
        print(promote_by_hand(family, options.promote, store).reason)
        return DONE
    rows = journal.read(history_file(family, store))
    if not rows:
        why = "run it first" if family.scores else "it declares no score, so none is chosen by itself"
        raise UserError(f"{family.name}: no report was considered below {store.data}; {why}.")
    best = champion_of(family, store)
    if best is None:
        print(f"{family.name}: no champion")
    else:
        print(f"{family.name}: {best.fingerprint} of {best.manifest['created'][:16]}, {figures(family, best)}")
        print(f"report: {best.directory / 'report.html'}")
    for row in rows if options.history else rows[-1:]:
        print(f"{row['time'][:16]} {row['reason']}")
    print(f"history: {history_file(family, store)}")
    return DONE


def figures(family: Family, report: Artifact) -> str:
    """The scores that a report has, with their intervals."""
    numbers = report.summary.numbers
    shown = []
    for score in family.scores:
        value, low, high = (numbers.get(f"{score.metric}{end}") for end in ("", "_low", "_high"))
        if value is not None:
            interval = f" ({low:.4g} to {high:.4g})" if low is not None and high is not None else ""
            shown.append(f"{score.metric} {value:.4g}{interval}")
    return ", ".join(shown) or "without a score"
