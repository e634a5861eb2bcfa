"""UniFrac between all samples of the rarefied table, and Faith's PD; or distances that were computed elsewhere."""

from __future__ import annotations

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
from ml_core.stages import StageRun
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
    upper = _pairs(matrix)
    spread = float(upper.std()) if len(upper) else 0.0
    how = "imported" if agreement is not None else "computed"
    summary = Summary(
        headline=f"{settings.metric.replace('_', ' ')} UniFrac of {len(matrix):,} samples, {how}: "
        f"{upper.mean() if len(upper) else 0:.3f} on average, standard deviation {spread:.3f}.",
        numbers={
            "unifrac.samples": len(matrix),
            "unifrac.metric": settings.metric,
            "unifrac.mean": float(upper.mean()) if len(upper) else None,
            "unifrac.standard_deviation": spread,
            "unifrac.smallest": float(upper.min()) if len(upper) else None,
            "unifrac.largest": float(upper.max()) if len(upper) else None,
            "unifrac.imported_r2": agreement,
            "faith.mean": float(faith.mean()),
        },
        figures={"Distances": "figures/distances.png"},
    )
    finite = bool(np.isfinite(upper).all() and np.isfinite(faith).all())
    summary.check(
        "distances_finite", finite, "all distances are numbers" if finite else "some distances are no numbers"
    )
    summary.check("distances_spread", spread >= FEWEST_SPREAD, f"their standard deviation is {spread:.3f}")
    same = agreement is None or agreement >= settings.min_agreement
    summary.check(
        "same_reads",
        same,
        "they are computed from the rarefied table"
        if agreement is None
        else f"R2 {agreement:.3f} with those of the rarefied table, asked for {settings.min_agreement:g}",
    )
    return summary


def _pairs(matrix: np.ndarray) -> np.ndarray:
    """[n (n - 1) / 2] float32, each pair once, row by row so that no index is built."""
    return np.concatenate([np.empty(0, np.float32), *(matrix[row, row + 1 :] for row in range(len(matrix)))])
