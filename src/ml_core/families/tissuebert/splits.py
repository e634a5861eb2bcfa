"""Training, validation and test samples by donor, and the proof that no donor and no copy is in two of them."""

from __future__ import annotations

import pandas as pd

from ml_core.families.tissuebert.checks import Likeness, near_duplicates, region_counts
from ml_core.families.tissuebert.donors import SPLITS, TEST, DonorSplits, load_splits, save_splits, shared_donors
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.settings import SplitsSettings
from ml_core.families.tissuebert.splits_figure import draw_splits
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

EXAMPLES = 3


def build(run: StageRun) -> Summary:
    """Take the deal that the panel was chosen by, and look for donors and copies across it."""
    settings: SplitsSettings = run.settings
    splits = load_splits(run.inputs["panel"].directory)
    regions = open_regions(run.inputs["regions"].directory / FILE)
    save_splits(run.directory, splits)
    draw_splits(run.directory / "figures" / "splits.png", samples=regions.samples, splits=splits)
    return _summary(regions, splits=splits, settings=settings)


def _summary(regions: Regions, *, splits: DonorSplits, settings: SplitsSettings) -> Summary:
    samples = regions.samples
    rows = _rows(samples, splits=splits)
    shared = shared_donors(samples, splits.part)
    likeness = near_duplicates(
        *region_counts(regions), samples=samples, part=splits.part, threshold=settings.near_duplicate
    )
    summary = Summary(
        headline=("Given by read: " if splits.given else "")
        + ", ".join(f"{row['split']} {row['samples']} samples of {row['donors']} donors" for row in rows)
        + ".",
        numbers={
            "split.shared_donors": len(shared),
            "split.near_duplicates": len(likeness.copies),
            "split.untestable_tissues": len(splits.untestable),
            **{f"split.{row['split']}_samples": row["samples"] for row in rows},
            **{f"split.{row['split']}_donors": row["donors"] for row in rows},
        },
        tables={"Splits": rows, "Donors of each tissue": _donors(samples, splits=splits)},
        figures={"Donors of each tissue": "figures/splits.png"},
    )
    said = f"{len(shared)} donors have samples in more than one split"
    summary.check("no_shared_donor", splits.given or not shared, f"{said}{', as the tables give it' * splits.given}")
    summary.check("new_donors", not (splits.given and shared), _of_given(splits, shared=shared))
    summary.check("no_near_duplicate", not likeness.copies, _of_copies(likeness))
    summary.check(
        "all_splits_filled",
        all(row["samples"] for row in rows),
        ", ".join(f"{row['split']} has {row['samples']} samples" for row in rows),
    )
    return summary


def _rows(samples: pd.DataFrame, *, splits: DonorSplits) -> list[dict[str, Number]]:
    """Samples are counted without copies: 35 samples at 5 coverages are 35."""
    rows: list[dict[str, Number]] = []
    for name in SPLITS:
        own = samples.iloc[splits.samples_in(name)]
        real = own[~own["synthetic"]]
        rows.append(
            {
                "split": name,
                "samples": len(real),
                "synthetic copies": len(own) - len(real),
                "donors": own["donor"].nunique(),
                "tissues": own["tissue"].nunique(),
            }
        )
    return rows


def _donors(samples: pd.DataFrame, *, splits: DonorSplits) -> list[dict[str, Number]]:
    rows: list[dict[str, Number]] = []
    for tissue in sorted(set(samples["tissue"]) - {""}):
        own = samples[samples["tissue"] == tissue]
        row: dict[str, Number] = {"tissue": tissue}
        for number, name in enumerate(SPLITS):
            row[name] = own["donor"][splits.part[own.index] == number].nunique()
        testable = (splits.part[own.index] == TEST).any()
        rows.append(row | {"testable": "yes" if testable else "no: not testable with one donor"})
    return rows


def _of_given(splits: DonorSplits, *, shared: list[str]) -> str:
    if not splits.given or not shared:
        return "test samples are of donors that were not trained on"
    return (
        f"reads of the same {len(shared)} donors ({', '.join(shared[:EXAMPLES])}) are learnt and tested, so that "
        "nothing is shown of a new donor"
    )


def _of_copies(likeness: Likeness) -> str:
    seen = f"{likeness.compared:,} pairs of samples in different splits were compared"
    if likeness.too_few:
        seen += f", {likeness.too_few:,} have too few regions in common for that"
    if not likeness.copies:
        return f"{seen}, none is a copy of the other"
    shown = "; ".join(
        f"{one} and {other} (correlation {alike:.2f})" for one, other, alike in likeness.copies[:EXAMPLES]
    )
    return f"{seen}, in {len(likeness.copies)} one is a copy of the other: {shown}"
