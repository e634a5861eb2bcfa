"""How often tissues are named rightly, by read, by region and by sample, and what the best guess of a region could be.

The sample is the product. Of reads and regions tissues count alike, however many samples each has, as in the ceilings.
"""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.asked import MODEL, NAIVE_BAYES, TABLES, Asked, Known
from ml_core.families.tissuebert.baselines import count_regions
from ml_core.families.tissuebert.calibration import alike
from ml_core.families.tissuebert.ceiling import read_ceiling, read_chances, region_ceiling
from ml_core.families.tissuebert.classifiers import SampleLogistic, prior
from ml_core.families.tissuebert.lead import lead_error
from ml_core.families.tissuebert.report_settings import ReportSettings
from ml_core.families.tissuebert.scores import accuracy, by_tissue, confusion, named_rightly, pooled
from ml_core.metrics.bootstrap import draw_weights, interval
from ml_core.summary import Number

METHODS = {MODEL: "test", TABLES: "baseline.tables", NAIVE_BAYES: "baseline.naive_bayes"}
Rows = list[dict[str, Number]]


def by_sample(said: np.ndarray, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """Sums [samples, tissues] of a method's log likelihoods over each sample's reads, and the true tissues."""
    _, summed = pooled(said, weight=asked.weight, owner=asked.sample)
    return summed, asked.true[np.unique(asked.sample, return_index=True)[1]]


def by_region(said: np.ndarray, known: Known) -> tuple[np.ndarray, np.ndarray]:
    """The same over the reads of each region of each sample, and whose sample it is, [regions of samples]."""
    asked, regions = known.test, len(known.regions.n_cpg)
    owner = asked.sample * regions + known.regions.row_region[asked.rows]
    owners, summed = pooled(said, weight=asked.weight, owner=owner)
    return summed, owners // regions


def reads_and_regions(known: Known, settings: ReportSettings) -> dict[str, Number]:
    """Accuracy of the model by read and by region, of its heads, and of naive Bayes and the tables.

    And how sure the model's lead over naive Bayes is, donors drawn anew.
    """
    asked = known.test
    even = alike(asked.true, asked.weight)
    numbers: dict[str, Number] = {
        "test.samples": len(asked.samples),
        "test.reads": int(asked.weight.sum()),
        "test.read_head": known.head,
        "test.read_top3": accuracy(asked.heads[known.head], asked.true, weight=even, top=3),
    }
    for head, said in asked.heads.items():
        numbers[f"test.{head}_head.read_accuracy"] = accuracy(said, asked.true, weight=even)
    numbers["test.read_accuracy"] = numbers[f"test.{known.head}_head.read_accuracy"]
    right = {}
    for name, prefix in METHODS.items():
        summed, sample = by_region(asked.said[name], known)
        true = known.regions.tissue_of_sample[sample]
        of_reads = asked.heads[known.head] if name == MODEL else asked.said[name]
        right[name] = named_rightly(summed, true), named_rightly(of_reads, asked.true)
        numbers[f"{prefix}.region_accuracy"] = accuracy(summed, true, weight=alike(true, np.ones(len(true))))
        if name != MODEL:
            numbers[f"{prefix}.read_accuracy"] = accuracy(asked.said[name], asked.true, weight=even)
    weights = {"region": (alike(true, np.ones(len(true))), sample), "read": (even, asked.sample)}
    for (what, (weight, of)), ours, theirs in zip(weights.items(), right[MODEL], right[NAIVE_BAYES], strict=True):
        donor = known.regions.samples["donor"].to_numpy(str)[of]
        error = lead_error(ours - theirs, weight=weight, donor=donor, settings=settings) if len(of) else None
        numbers[f"test.{what}_accuracy_lead_se"] = error
    return numbers


def ceilings(known: Known, settings: ReportSettings) -> dict[str, Number]:
    """Accuracy of the best guess from one read, and from one region of one sample, tissues alike.

    By the tables of the training donors, for reads with as many CpGs, and regions with as many reads, as the test
    samples have on average. Tables of reads have too few reads of a region for that, so that there is none.
    """
    asked = known.test
    if known.splits.given or not len(asked):
        return {"test.read_ceiling": None, "test.region_ceiling": None}
    cpgs = round(float(np.average(known.regions.n_cov[asked.rows], weights=asked.weight)))
    owner = asked.sample * len(known.regions.n_cpg) + known.regions.row_region[asked.rows]
    reads = round(float(asked.weight.sum()) / len(np.unique(owner)))
    chances = read_chances(known.trained.tables, cpgs=max(cpgs, 1))
    best = region_ceiling(chances, reads=max(reads, 1), draws=settings.ceiling_draws, seed=settings.seed)
    return {
        "test.read_ceiling": float(read_ceiling(chances).mean()),
        "test.region_ceiling": float(best.mean()),
        "test.reads_per_region": reads,
        "test.cpgs_per_read": cpgs,
    }


def samples(known: Known, settings: ReportSettings) -> dict[str, Number]:
    """Accuracy by sample with all reads of each: the model, its tables, prior, naive Bayes, logistic regression."""
    asked = known.test
    numbers: dict[str, Number] = {}
    for name, prefix in METHODS.items():
        summed, true = by_sample(asked.said[name], asked)
        numbers[f"{prefix}.sample_accuracy"] = accuracy(summed, true)
        if name == MODEL:
            donor = known.regions.samples["donor"].to_numpy()[asked.samples]
            numbers |= _uncertainty(summed.argmax(1) == true, donor, settings)
    learnt = known.splits.samples_in("train")
    true = known.regions.tissue_of_sample[asked.samples]
    tissue = known.regions.tissue_of_sample[learnt]
    common = prior(tissue, tissues=known.tissues, items=len(true))
    numbers["baseline.prior.sample_accuracy"] = accuracy(common, true)
    logistic = SampleLogistic.fit(
        count_regions(known.regions, learnt),
        tissue,
        tissues=known.tissues,
        validation=count_regions(known.regions, known.validation.samples),
        known=known.regions.tissue_of_sample[known.validation.samples],
        even=False,
    )
    said = logistic.scores(count_regions(known.regions, asked.samples))
    numbers["baseline.logistic.sample_accuracy"] = accuracy(said, true)
    return numbers


def confusions(known: Known) -> dict[str, np.ndarray]:
    """Of the model: [tissues, tissues] by what is counted."""
    asked = known.test
    summed, true = by_sample(asked.said[MODEL], asked)
    return {
        "reads": confusion(asked.heads[known.head], asked.true, weight=asked.weight),
        "samples": confusion(summed, true),
    }


def tissue_table(known: Known) -> Rows:
    """Each tissue by name: its donors in each split, and how its test reads and samples are named."""
    found = confusions(known)
    reads, named = by_tissue(found["reads"]), by_tissue(found["samples"])
    frame, rows = known.regions.samples, []
    for number, tissue in enumerate(known.regions.tissues["name"]):
        row: dict[str, Number] = {"tissue": str(tissue)}
        for split in ("train", "validation", "test"):
            own = frame.iloc[known.splits.samples_in(split)]
            row[f"{split} donors"] = int(own.loc[own["tissue"] == tissue, "donor"].nunique())
        row["test samples"] = int(found["samples"][number].sum())
        row |= {f"sample {name}": float(named[name][number]) for name in ("recall", "precision")}
        row |= {f"read {name}": float(values[number]) for name, values in reads.items()}
        rows.append(row | {"testable": str(tissue) not in known.splits.untestable})
    return rows


def _uncertainty(right: np.ndarray, donor: np.ndarray, settings: ReportSettings) -> dict[str, Number]:
    """Standard error and 95 % interval of a share of samples [n], donors drawn with replacement; NaN without any."""
    names, group = np.unique(donor.astype(str), return_inverse=True)
    weights = draw_weights(len(names), draws=settings.bootstrap_draws, seed=settings.seed)[:, group]
    shares = (weights @ right) / weights.sum(1) if len(right) else np.full(len(weights), np.nan)
    low, high = interval(shares)
    return {
        "test.sample_accuracy_se": float(shares.std()),
        "test.sample_accuracy_low": low,
        "test.sample_accuracy_high": high,
    }
