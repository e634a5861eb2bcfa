"""Donors dealt into training, validation and test within each tissue; copies of a donor's sample go with it."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(len(SPLITS))
LEAST_FOR_VALIDATION = 3


@dataclass(frozen=True)
class DonorSplits:
    """part [samples] int8 into `SPLITS`, -1 for a sample without a tissue; untestable: tissues of one donor, which are
    learnt and never judged; given: the split is that of the files (reads of one donor in several)."""

    part: np.ndarray
    untestable: tuple[str, ...]
    given: bool = False

    def samples_in(self, split: str) -> np.ndarray:
        """Numbers of the samples of one of `SPLITS`, ascending."""
        return np.flatnonzero(self.part == SPLITS.index(split))


def deal(samples: pd.DataFrame, *, test: float, validation: float, seed: int) -> DonorSplits:
    """Each tissue's donors by themselves: with two one is tested, with three or more one is validated on as well.

    `samples` has donor and tissue ("": not known). A donor of several tissues has one part in all of them, so tissues
    with few donors come first; UserError where one is left without a donor to train on.
    """
    known = samples[samples["tissue"] != ""]
    if known.empty:
        raise UserError(
            "panel: no sample has a tissue, expected some to learn from; fill in the sheet's column tissue."
        )
    parts: dict[str, int] = {}
    of_tissue = {str(tissue): sorted(set(own["donor"])) for tissue, own in known.groupby("tissue")}
    for tissue in sorted(of_tissue, key=lambda name: (len(of_tissue[name]), name)):
        donors = of_tissue[tissue]
        fresh = [donor for donor in donors if donor not in parts]
        counts = np.array(_wanted(len(donors), test=test, validation=validation))
        counts -= np.bincount([parts[donor] for donor in donors if donor in parts], minlength=len(SPLITS))
        labels = np.repeat([TEST, VALIDATION], np.maximum(counts[[TEST, VALIDATION]], 0))
        labels = np.append(labels, np.full(len(fresh), TRAIN))[: len(fresh)]
        order = np.random.default_rng([seed, zlib.crc32(tissue.encode())]).permutation(len(fresh))
        parts |= {fresh[place]: int(label) for place, label in zip(order, labels, strict=True)}
        if not any(parts[donor] == TRAIN for donor in donors):
            raise UserError(
                f"panel: tissue '{tissue}' has no donor left to train on ({', '.join(donors[:3])} are in the test or "
                "validation set for other tissues), expected at least one; set another panel.seed."
            )
    tested = {tissue for tissue, donors in of_tissue.items() if any(parts[donor] == TEST for donor in donors)}
    untestable = sorted(set(of_tissue) - tested)
    part = np.array(
        [parts[donor] if tissue else -1 for donor, tissue in zip(samples["donor"], samples["tissue"], strict=True)],
        np.int8,
    )
    return DonorSplits(part, tuple(untestable))


def shared_donors(samples: pd.DataFrame, part: np.ndarray) -> list[str]:
    """Donors with samples in more than one split."""
    known = np.asarray(part) >= 0
    rows = pd.DataFrame({"donor": samples["donor"].to_numpy(object)[known], "part": np.asarray(part)[known]})
    counts = rows.groupby("donor")["part"].nunique()
    return sorted(counts[counts > 1].index)


def save_splits(directory: Path, splits: DonorSplits) -> None:
    """Write splits.json."""
    described = {"part": splits.part.tolist(), "untestable": list(splits.untestable), "given": splits.given}
    (directory / "splits.json").write_text(json.dumps(described) + "\n")


def load_splits(directory: Path) -> DonorSplits:
    """What panel and splits leave on disk, in the order of the samples."""
    described = json.loads((directory / "splits.json").read_text())
    return DonorSplits(np.array(described["part"], np.int8), tuple(described["untestable"]), described["given"])


def _wanted(donors: int, *, test: float, validation: float) -> list[int]:
    """How many donors train, validate and test; at least one trains."""
    tested = min(max(round(test * donors), 1), donors - 1)  # none of a single donor
    validated = 0 if donors < LEAST_FOR_VALIDATION else min(max(round(validation * donors), 1), donors - 1 - tested)
    return [donors - tested - validated, validated, tested]
