"""UniFrac between all samples of the rarefied table, and Faith's PD; or distances that were computed elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_core.errors import UserError
from ml_core.families.sequence.data import SampleTable, create_distances, load_distances, load_table
from ml_core.families.sequence.distances_figure import draw_distances
from ml_core.families.sequence.raw_files import files_of
from ml_core.families.sequence.readers.counts import read_counts
from ml_core.families.sequence.readers.distances import read_distances
from ml_core.families.sequence.settings import UnifracSettings
from ml_core.families.sequence.unifrac import faith_pd, within
from ml_core.running import StageRun
from ml_core.summary import Summary

FEWEST_SPREAD = 0.01  # standard deviation of the distances below which there is nothing to learn from them
COMPARED = 300  # samples whose imported distances are computed again


def build(run: StageRun) -> Summary:
    """Compute or import the matrix straight into the artifact, and look whether it is one."""
    settings: UnifracSettings = run.settings
    table = load_table(run.inputs["table"].directory)
    files = files_of(run.inputs["raw"].directory)
    faith = faith_pd(table.counts, tree=table.tree, block_samples=settings.block_samples)
    out = create_distances(run.directory, samples=len(table), faith=faith, metric=settings.metric)
    agreement: float | None = None
    if "distances" in files:
        out[:] = imported(files["distances"], table=table, main_table=files["table"])
        agreement = agreement_with_table(out, table=table, settings=settings)
    else:
        within(table.counts, tree=table.tree, metric=settings.metric, block_samples=settings.block_samples, out=out)
    del out  # flushes the file
    distances = load_distances(run.directory)
    draw_distances(run.directory / "figures" / "distances.png", table=table, distances=distances)
    return _summary(distances.matrix, faith=faith, agreement=agreement, settings=settings)


def imported(path: Path, *, table: SampleTable, main_table: Path) -> np.ndarray:
    """[n, n] float32 in the table's order. UserError where a sample of the table has no distances."""
    matrix = read_distances(path)
    ids = read_counts(main_table).sample_ids if matrix.ids is None else matrix.ids
    if len(ids) != len(matrix.values):
        raise UserError(
            f"{path}: is for {len(matrix.values)} samples, expected the {len(ids)} of the main table in its order; "
            "give a matrix with ids."
        )
    place = {name: at for at, name in enumerate(ids)}
    missing = [name for name in table.sample_ids if name not in place]
    if missing:
        raise UserError(
            f"{path}: lacks {len(missing)} of the table's {len(table)} samples ('{missing[0]}' for one), expected all, "
            "those of extra tables too; give a matrix of all, or leave raw.distances empty."
        )
    rows = np.array([place[name] for name in table.sample_ids])
    found: np.ndarray = matrix.values[np.ix_(rows, rows)]
    return found


def agreement_with_table(matrix: np.ndarray, *, table: SampleTable, settings: UnifracSettings) -> float:
    """R2 of imported distances with those of the rarefied table, over some samples: another draw of reads lowers it."""
    count = min(COMPARED, len(table))
    rows = np.sort(np.random.default_rng(0).choice(len(table), count, replace=False))
    ours = within(table.counts[rows], tree=table.tree, metric=settings.metric, block_samples=settings.block_samples)
    pairs = np.triu_indices(count, 1)
    theirs, ours = matrix[np.ix_(rows, rows)][pairs], ours[pairs]
    spread = float(((ours - ours.mean()) ** 2).sum())
    return 1 - float(((theirs - ours) ** 2).sum()) / spread if spread else float("nan")


def _summary(matrix: np.ndarray, *, faith: np.ndarray, agreement: float | None, settings: UnifracSettings) -> Summary:
    spread = _spread(matrix)
    how = "imported" if agreement is not None else "computed"
    summary = Summary(
        headline=f"{settings.metric.replace('_', ' ')} UniFrac of {len(matrix):,} samples, {how}: "
        f"{spread.mean:.3f} on average, standard deviation {spread.deviation:.3f}.",
        numbers={
            "unifrac.samples": len(matrix),
            "unifrac.metric": settings.metric,
            "unifrac.mean": spread.mean,
            "unifrac.standard_deviation": spread.deviation,
            "unifrac.smallest": spread.smallest,
            "unifrac.largest": spread.largest,
            "unifrac.imported_r2": agreement,
            "faith.mean": float(faith.mean()),
        },
        figures={"Distances": "figures/distances.png"},
    )
    finite = math.isfinite(spread.mean) and bool(np.isfinite(faith).all())
    summary.check(
        "distances_finite", finite, "all distances are numbers" if finite else "some distances are no numbers"
    )
    summary.check(
        "distances_spread",
        spread.deviation >= FEWEST_SPREAD,
        f"their standard deviation is {spread.deviation:.3f}, asked for {FEWEST_SPREAD:g}",
    )
    same = agreement is None or agreement >= settings.min_agreement
    summary.check(
        "same_reads",
        same,
        "they are computed from the rarefied table"
        if agreement is None
        else f"R2 {agreement:.3f} with those of the rarefied table, asked for {settings.min_agreement:g}",
    )
    return summary


@dataclass(frozen=True)
class _Spread:
    """Of the distances of all pairs; NaN where there is no pair."""

    mean: float
    deviation: float
    smallest: float
    largest: float


def _spread(matrix: np.ndarray) -> _Spread:
    """Row by row, for the matrix may be larger than the memory."""
    count, total, squares, smallest, largest = 0, 0.0, 0.0, math.inf, -math.inf
    for row in range(len(matrix) - 1):
        values = np.asarray(matrix[row, row + 1 :], np.float64)
        count += len(values)
        total += float(values.sum())
        squares += float((values**2).sum())
        smallest, largest = min(smallest, float(values.min())), max(largest, float(values.max()))
    if not count:
        return _Spread(math.nan, math.nan, math.nan, math.nan)
    mean = total / count
    return _Spread(mean, math.sqrt(max(squares / count - mean**2, 0.0)), smallest, largest)
