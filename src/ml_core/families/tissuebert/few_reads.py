"""Samples of which only so many reads are known: what each method makes of the same ones."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.asked import MODEL, NAIVE_BAYES, Known, rows_of
from ml_core.families.tissuebert.baselines import RegionCounts
from ml_core.families.tissuebert.calibration import alike
from ml_core.families.tissuebert.ceiling import sample_ceiling
from ml_core.families.tissuebert.classifiers import SampleLogistic
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.lead import lead_error
from ml_core.families.tissuebert.levels import METHODS
from ml_core.families.tissuebert.report_settings import ReportSettings
from ml_core.families.tissuebert.scores import accuracy, named_rightly
from ml_core.summary import Number

TRAIN, VALIDATION, TEST = range(3)  # streams of random numbers
MOST_DRAWS = 5  # of a training sample
LOGISTIC, AS_ONE = "logistic", "model, alike tissues as one"
LEAD_ERROR, CEILING = "standard error of the lead", "if the tables were true"
Rows = list[dict[str, Number]]


def at_each_number(known: Known, settings: ReportSettings, *, groups: np.ndarray) -> Rows:
    """A row for each of `pooled_reads` that a test sample has: reads, samples, each method's sample accuracy, the
    standard error of the model's lead over the better classical one, by drawing donors anew, and what the best guess
    would reach if the training donors' tables were true. groups [tissues]: those that the reference cannot tell apart
    have one number, and count as one in the model's second figure.

    Tissues count alike. Logistic regression learns from training samples with as many reads.
    """
    rows: Rows = []
    for reads in settings.pooled_reads:
        owner, drawn = draw(known.regions, known.test.rows, reads=reads, settings=settings, stream=TEST)
        if not len(owner):
            continue
        true = known.regions.tissue_of_sample[owner]
        place = np.searchsorted(known.test.rows, drawn)
        even = alike(true, np.ones(len(true)))
        said = {name: np.stack([known.test.said[name][each].sum(0) for each in place]) for name in METHODS}
        said[LOGISTIC] = _logistic(known, owner, drawn, reads=reads, settings=settings)
        row: dict[str, Number] = {"reads": reads, "samples": len(np.unique(owner))}
        row |= {name: accuracy(scores, true, weight=even) for name, scores in said.items()}
        row[AS_ONE] = float(np.average(groups[said[MODEL].argmax(1)] == groups[true], weights=even))
        best = max((NAIVE_BAYES, LOGISTIC), key=lambda name: (float(row[name] or 0), name))
        lead = named_rightly(said[MODEL], true) - named_rightly(said[best], true)
        donor = known.regions.samples["donor"].to_numpy(str)[owner]
        row[LEAD_ERROR] = lead_error(lead, weight=even, donor=donor, settings=settings)
        where = np.stack([known.regions.row_region[drawn], known.regions.n_cov[drawn]], axis=-1).reshape(-1, 2)
        row[CEILING] = sample_ceiling(
            known.trained.tables,
            where.astype(np.int64),
            reads=reads,
            draws=settings.ceiling_draws,
            seed=settings.seed,
        )
        rows.append(row)
    return rows


def draw(
    regions: Regions, rows: np.ndarray, *, reads: int, settings: ReportSettings, stream: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sample [items] and rows [items, reads]: `draws` times so many of a sample's reads, none twice, of each sample
    of reads that has them."""
    rng = np.random.default_rng([settings.seed, stream, reads])
    of_reads = np.asarray(regions.samples["kind"] == "reads")[regions.row_sample[rows]]
    single = np.repeat(rows[of_reads], np.maximum(regions.row_count[rows[of_reads]], 1))
    sample = regions.row_sample[single]
    owners, drawn = [], []
    for number in np.unique(sample):
        own = single[sample == number]
        if len(own) >= reads:
            owners += [int(number)] * settings.draws
            drawn += [rng.choice(own, reads, replace=False) for _ in range(settings.draws)]
    return np.array(owners, np.int64), np.array(drawn, np.int64).reshape(len(owners), reads)


def counts_of(regions: Regions, drawn: np.ndarray) -> RegionCounts:
    """Methylated and observed CpGs [items, regions] of rows [items, reads]."""
    size = len(regions.n_cpg)
    cell = (np.arange(len(drawn))[:, None] * size + regions.row_region[drawn]).ravel()
    meth, cov = (
        np.bincount(cell, field[drawn].ravel(), minlength=len(drawn) * size).reshape(len(drawn), size)
        for field in (regions.n_meth, regions.n_cov)
    )
    return RegionCounts(meth, cov)


def _logistic(
    known: Known, owner: np.ndarray, drawn: np.ndarray, *, reads: int, settings: ReportSettings
) -> np.ndarray:
    """Scores [items, tissues] of drawn test samples by a regression on training samples drawn alike."""
    regions, sides = known.regions, {}
    for stream, split in ((TRAIN, "train"), (VALIDATION, "validation")):
        rows, _ = rows_of(regions, known.splits.samples_in(split))
        fewer = settings.model_copy(update={"draws": min(settings.draws, MOST_DRAWS)})
        own, picked = draw(regions, rows, reads=reads, settings=fewer, stream=stream)
        sides[split] = counts_of(regions, picked), regions.tissue_of_sample[own]
    (train, true), (validation, judged) = sides["train"], sides["validation"]
    if len(np.unique(true)) < 2:
        return np.zeros((len(owner), known.tissues))
    fitted = SampleLogistic.fit(train, true, tissues=known.tissues, validation=validation, known=judged, even=True)
    return fitted.scores(counts_of(regions, drawn))
