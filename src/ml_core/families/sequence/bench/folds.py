"""Means over the folds of a cross-validation, from what `ml_core seeds` wrote for each of them.

python -m ml_core.families.sequence.bench.folds data/real
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from ml_core.errors import UserError

FIGURES = (
    "test.mae",
    "test.one_rarefaction.mae",
    "baseline.random_forest.mae",
    "baseline.knn_unifrac.mae",
    "baseline.median.mae",
    "pretrain.unifrac_r2",
    "pretrain.masked_accuracy",
    "baseline.nearest_asv.masked_accuracy",
    "baseline.position_majority.masked_accuracy",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the data directory that make real filled")
    print("\n".join(as_lines(means_of_folds(parser.parse_args().data / "seeds"))))


def means_of_folds(folder: Path) -> dict[str, list[float]]:
    """Figure -> its mean over seeds in each fold; UserError where a fold is missing."""
    names = ["real-sequence", *(f"real-sequence-fold{fold}" for fold in range(1, 5))]
    found: dict[str, list[float]] = {}
    for name in names:
        path = folder / f"{name}.json"
        if not path.is_file():
            raise UserError(f"{path}: is absent; run make real FAMILY=sequence first.")
        rows = {row["figure"]: row for row in json.loads(path.read_text())["figures"]}
        for figure in FIGURES:
            found.setdefault(figure, []).append(float(rows[figure]["mean"]))
    return found


def as_lines(means: dict[str, list[float]]) -> list[str]:
    """A Markdown table: mean over folds, their standard deviation, and each."""
    lines = ["| figure | mean | sd of folds | folds |", "|---|---|---|---|"]
    for figure, values in means.items():
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {figure} | {statistics.fmean(values):.3f} | {statistics.stdev(values):.3f} | {each} |")
    return lines


if __name__ == "__main__":
    main()
