"""What a tree may lack, counted and mended or refused as the settings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.errors import UserError
from ml_core.families.sequence.midpoint import rooted_at_midpoint
from ml_core.families.sequence.phylogeny import Phylogeny
from ml_core.families.sequence.settings import TableSettings


def repair(phylogeny: Phylogeny, *, path: Path, settings: TableSettings) -> tuple[Phylogeny, dict[str, int]]:
    """A rooted tree whose lengths are all there and none negative, and how often each fault was mended.

    Of several tips of one name the first keeps it. A length above the root is dropped. UserError where the settings
    refuse a fault, or no branch has a length.
    """
    length = phylogeny.length.copy()
    length[-1] = 0
    missing, negative = np.isnan(length), length < 0
    if len(length) > 1 and missing[:-1].all():
        raise UserError(
            f"{path}: no branch has a length, expected lengths for UniFrac; give the tree with its lengths."
        )
    names, repeated = _first_of_each(phylogeny)
    fork = int((phylogeny.parent == len(phylogeny) - 1).sum())
    found = {
        "missing_lengths": int(missing.sum()),
        "negative_lengths": int(negative.sum()),
        "duplicate_tips": len(repeated),
        "unrooted": int(fork > 2 and settings.unrooted != "keep"),
    }
    faults = {
        "missing_lengths": f"{found['missing_lengths']} branches have no length",
        "negative_lengths": f"{found['negative_lengths']} branches have a negative length",
        "duplicate_tips": f"{len(repeated)} tips have the name of another one, '{min(repeated, default='')}' for one",
        "unrooted": f"the root has {fork} branches, so the tree is not rooted",
    }
    for fault, sentence in faults.items():
        if found[fault] and getattr(settings, fault) == "error":
            way_out = {"unrooted": "midpoint", "duplicate_tips": "first"}.get(fault, "zero")
            raise UserError(f"{path}: {sentence}; mend the tree, or set table.{fault}={way_out}.")
    length[missing | negative] = 0
    mended = Phylogeny(phylogeny.parent, length, names)
    return (rooted_at_midpoint(mended) if found["unrooted"] else mended), found


def _first_of_each(phylogeny: Phylogeny) -> tuple[np.ndarray, list[str]]:
    names, seen, repeated = phylogeny.names.copy(), set(), []
    for tip in phylogeny.tips:
        if names[tip] in seen:
            repeated.append(names[tip])
            names[tip] = ""
        seen.add(names[tip])
    return names, repeated
