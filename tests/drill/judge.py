"""What must hold after every fault: whole artifacts, one promotion each, free pools, no run left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ml_core import journal
from ml_core.artifacts import MANIFEST, Store
from ml_core.promotion import champion_of, history_file
from tests.drill.line.family import FAMILY
from tests.drill.workplace import Workplace, wait_until

SECONDS_TO_SETTLE = 60  # monitoring looks every 3 s here


def faults_of(place: Workplace, known: set[Path]) -> list[str]:
    """Sentences on all that is wrong; `known` are the artifacts that stood there before, and is brought up to date."""
    found = faults_of_store(Store(place.data), known)
    wait_until(lambda: not (place.going_on() or place.taken_slots() or _workers(place)), seconds=SECONDS_TO_SETTLE)
    found += [f"run {run} has not ended" for run in place.going_on()]
    if taken := place.taken_slots():
        found.append(f"{taken} places of the pool are taken by nobody")
    return found + [f"process {pid} still runs" for pid in _workers(place)]


def faults_of_store(store: Store, known: set[Path]) -> list[str]:
    """Of what lies on the disk."""
    return [*_artifacts(store, known), *_leftovers(store), *_promotions(store)]


def _workers(place: Workplace) -> list[int]:
    return [process.pid for process in (*place.run_workers(), *place.steps())]


def _artifacts(store: Store, known: set[Path]) -> list[str]:
    """Each verifies, each that was there still is, and `current` points at one."""
    found, now = [], set()
    for stage in FAMILY.stages:
        folder = store.stage_directory(FAMILY.name, stage.name)
        for path in sorted(folder.glob("[!.]*")):
            if path.is_dir() and not path.is_symlink():
                now.add(path)
                if not (path / MANIFEST).is_file():
                    found.append(f"{path}: has no manifest")
        for artifact in store.all(FAMILY.name, stage.name):
            found += artifact.verify()
        link = folder / "current"
        if link.is_symlink() and not (folder / os.readlink(link) / MANIFEST).is_file():
            found.append(f"{link}: points at nothing")
    found += [f"{path}: is lost" for path in known - now]
    known |= now
    return found


def _leftovers(store: Store) -> list[str]:
    """What a killed stage leaves is swept by the next run of it, which each fault is followed by."""
    left = [*store.data.glob("artifacts/*/*/.*.partial"), *store.data.glob("artifacts/*/*/.*.replaced")]
    return [f"{path}: was left" for path in (*left, *store.data.glob("runs/*/model/*"))]


def _promotions(store: Store) -> list[str]:
    """A report is promoted once, against the champion of before; the link points at the last that was."""
    found, champion = [], None
    rows = journal.read(history_file(FAMILY, store))
    considered = [(row["report"], row["digest"], row["against"]) for row in rows]
    found += [f"report {each[0]} was judged twice" for each in sorted(set(considered)) if considered.count(each) > 1]
    for row in rows:
        if row["against"] != champion:
            found.append(f"report {row['report']} was held against {row['against']}, but {champion} was champion")
        if row["promoted"]:
            champion = row["report"]
    promoted = [row["report"] for row in rows if row["promoted"]]
    found += [f"report {name} was promoted twice" for name in sorted(set(promoted)) if promoted.count(name) > 1]
    best = champion_of(FAMILY, store)
    if (best.fingerprint if best else None) != champion:
        found.append(f"the champion is {best}, its history says {champion}")
    return found


def seconds_since(start: float) -> float:
    return round(time.monotonic() - start, 1)
