"""Twenty faults at random moments of a pipeline that runs, and what must hold after each; see docs/reliability.md.

    python -m tests.drill.drill --seed 1 --times 20 --page docs/reliability.md

Every outcome is written down at once; exit code 1 where one was not good. Parts (--numbers) may go on side by side
with one file of outcomes; whichever has --page writes what stands there by then.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_core import journal
from tests.drill.faults import FAULTS, IN_PROCESS, SECONDS_TO_END
from tests.drill.judge import faults_of, seconds_since
from tests.drill.page import write_table
from tests.drill.workplace import Workplace, workplace

DISK_MB = 64


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill.drill", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the order, and of every moment (%(default)s)")
    parser.add_argument("--times", type=int, default=sum(count for _, count in FAULTS.values()))
    parser.add_argument("--only", help="one kind of fault")
    parser.add_argument("--numbers", help="3,5: these faults of the plan only")
    parser.add_argument("--outcomes", type=Path, help="file of outcomes; one in the drill's folder by default")
    parser.add_argument("--page", type=Path, help="page whose table is written anew")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bioassets-drill-"))
    outcomes = (options.outcomes or folder / "outcomes.jsonl").resolve()
    faults = dict(enumerate(plan(options.seed, options.times, options.only), start=1))
    chosen = [int(number) for number in options.numbers.split(",")] if options.numbers else list(faults)
    print(f"outcomes: {outcomes}", flush=True)
    with own_disk(folder / "data"), workplace(folder) as place:
        known: set[Path] = set()
        print(f"before: {next_run(place, config(0))}; {faults_of(place, known) or 'all is well'}", flush=True)
        for number in chosen:
            row = one(place, known, number=number, name=faults[number], seed=options.seed)
            journal.append(outcomes, row)
            print(row, flush=True)
    by_number = {row["number"]: row for row in journal.read(outcomes)}  # of one that was repeated, the last
    rows = [by_number[number] for number in sorted(by_number)]
    if options.page:
        write_table(options.page, rows)
    good = sum(row["good"] for row in rows)
    print(f"{good} of {len(rows)} good")
    return 0 if good == len(rows) else 1


def plan(seed: int, times: int, only: str | None = None) -> list[str]:
    """Which fault comes when."""
    if only:
        return [only] * times
    order = [name for name, (_, count) in FAULTS.items() for _ in range(count)]
    random.Random(seed).shuffle(order)  # noqa: S311 - which moments does not matter
    return [order[number % len(order)] for number in range(times)]


def one(place: Workplace, known: set[Path], *, number: int, name: str, seed: int) -> dict[str, Any]:
    """One fault, the run after it, and all that is wrong then."""
    fault, _ = FAULTS[name]
    start, wanted = time.monotonic(), config(number)
    seen = fault(place, random.Random(f"{seed} {number}"), wanted)  # noqa: S311
    after = next_run(place, wanted)
    wrong = faults_of(place, known)
    good = after.startswith("SUCCESS") and not wrong
    return {
        "number": number,
        "fault": name,
        "seen": seen,
        "next": after,
        "wrong": wrong,
        "good": good,
        "seconds": seconds_since(start),
    }


def next_run(place: Workplace, wanted: dict[str, Any]) -> str:
    """How the same run ends when it is started again, and where it went on from."""
    run = place.dev.launch("line", {**wanted, **IN_PROCESS})
    end = place.end_of(run, seconds=SECONDS_TO_END)
    said = place.dev.messages(run)
    cached = sum("is taken as it is" in line for line in said)
    went_on = next((" went on from a checkpoint" for line in said if "going on from" in line), "")
    return f"{end}, {cached} of 3 stages were there{',' if went_on else ''}{went_on}"


def config(number: int) -> dict[str, Any]:
    """A training of its own for each fault, of some seconds, that saves its state after every window."""
    model = {
        "seed": number,
        "max_epochs": 12,
        "batch_size": 16,
        "learning_rate": 0.02 + 0.01 * number,
        "patience": None,
        "tensorboard": False,
        "checkpoint_every_minutes": 0.01,
        "seconds_per_batch": 0.2,
    }
    return {"ops": {"line_model": {"config": model}}}


@contextmanager
def own_disk(folder: Path) -> Iterator[None]:
    """A small file system in memory, so that it can be full. Mounting it needs root."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main())
