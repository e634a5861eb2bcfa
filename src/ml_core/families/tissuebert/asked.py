"""The reads of test donors, and what the model and every classifier beside it say of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.tissuebert.baselines import count_regions, rates
from ml_core.families.tissuebert.calibration import alike
from ml_core.families.tissuebert.classifiers import by_tables, naive_bayes
from ml_core.families.tissuebert.donors import DonorSplits, load_splits
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.inference import Scores, score_with
from ml_core.families.tissuebert.model_files import TrainedModel, load_model
from ml_core.families.tissuebert.regions import FILE
from ml_core.metrics.calibration import cross_entropy
from ml_core.running import StageRun

MODEL, TABLES, NAIVE_BAYES = "model", "tables", "naive_bayes"


@dataclass(frozen=True)
class Asked:
    """Rows of samples that are no copies, and what is said of them.

    **Shapes**: samples [k]; rows, sample, true, weight [n], weight being how many reads a row stands for; said: method
    -> log likelihoods [n, tissues] up to a constant of the row, to be summed over reads; heads: the same of each head
    that the model was trained with.
    """

    samples: np.ndarray
    rows: np.ndarray
    sample: np.ndarray
    true: np.ndarray
    weight: np.ndarray
    said: dict[str, np.ndarray]
    heads: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Known:
    """What the report rests on: reads, splits, the trained model, validation and test reads; head: that of the model
    which says the likelier of single validation reads."""

    regions: Regions
    splits: DonorSplits
    trained: TrainedModel
    validation: Asked
    test: Asked
    head: str

    @property
    def tissues(self) -> int:
        return len(self.regions.tissues)


def gather(run: StageRun) -> Known:
    """Ask the model, its tables and naive Bayes for all reads of validation and test donors."""
    regions = open_regions(run.inputs["regions"].directory / FILE)
    splits = load_splits(run.inputs["splits"].directory)
    trained = load_model(run.inputs["model"].directory)
    learnt = splits.samples_in("train")
    cells = rates(count_regions(regions, learnt), regions.tissue_of_sample[learnt], tissues=len(regions.tissues))
    asked = {split: ask(regions, splits.samples_in(split), trained, cells) for split in ("validation", "test")}
    validation = asked["validation"]
    return Known(regions, splits, trained, **asked, head=better_head(validation.heads, validation))


def ask(regions: Regions, samples: np.ndarray, trained: TrainedModel, cells: np.ndarray) -> Asked:
    """cells [regions, tissues]: mean methylation, for naive Bayes."""
    rows, samples = rows_of(regions, samples)
    scores = score_with(trained, regions, rows)
    sample = regions.row_sample[rows].astype(np.int64)
    return Asked(
        samples,
        rows,
        sample,
        regions.tissue_of_sample[sample],
        np.maximum(regions.row_count[rows], 1).astype(float),
        {
            MODEL: scores.likelihood.astype(float),
            TABLES: by_tables(trained.tables, regions, rows),
            NAIVE_BAYES: naive_bayes(cells, regions, rows),
        },
        heads_of(scores, trained.heads),
    )


def rows_of(regions: Regions, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the samples with a tissue that are no synthetic copies, and these samples."""
    real = ~regions.samples["synthetic"].to_numpy(bool) & (regions.tissue_of_sample >= 0)
    kept = samples[real[samples]]
    return np.concatenate([np.zeros(0, np.int64), *(regions.rows_of(int(each)) for each in kept)]), kept


def heads_of(scores: Scores, heads: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: getattr(scores, name).astype(float) for name in heads}


def better_head(heads: dict[str, np.ndarray], validation: Asked) -> str:
    """The head with the lower cross entropy on single validation reads, tissues alike; the likelihood without any."""
    if not len(validation):
        return next(iter(heads))
    weight = alike(validation.true, validation.weight)
    lost = {name: cross_entropy(said, validation.true, weight=weight) for name, said in heads.items()}
    return min(lost, key=lambda name: lost[name])
