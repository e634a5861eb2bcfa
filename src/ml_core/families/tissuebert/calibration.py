"""The stage `calibration`: temperatures fitted on validation donors, and what they bring on test donors.

Reads alone, reads pooled by summing, and the tissue head, if it was trained, each get a temperature; of the last one
label smoothing is undone first. Tissues count alike, however many of their samples there are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ml_core.families.tissuebert.donors import load_splits
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.inference import Scores, score_with
from ml_core.families.tissuebert.model_files import load_model
from ml_core.families.tissuebert.model_settings import CalibrationSettings
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.reliability_figure import draw_reliability
from ml_core.metrics.calibration import Reliability, cross_entropy, fit_temperature, reliability, without_smoothing
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

CALIBRATION = "calibration.json"
TOLERATED_ERROR = 0.02


@dataclass(frozen=True)
class Calibration:
    """Temperatures by which log likelihoods of reads, their sums over a sample, and the tissue head's logits without
    smoothing are divided; fitted: on validation donors, else all are 1."""

    read: float = 1.0
    pooled: float = 1.0
    tissue_head: float = 1.0
    fitted: bool = False


@dataclass(frozen=True)
class Judged:
    """Items with a known tissue. scores [n, tissues], true [n], weight [n]."""

    scores: np.ndarray
    true: np.ndarray
    weight: np.ndarray

    def at(self, temperature: float, *, bins: int) -> Reliability:
        return reliability(self.scores / temperature, self.true, weight=self.weight, bins=bins)


def build(run: StageRun) -> Summary:
    """Fit on validation donors, judge on test donors, write calibration.json and the reliability figure."""
    settings: CalibrationSettings = run.settings
    regions = open_regions(run.inputs["regions"].directory / FILE)
    splits = load_splits(run.inputs["splits"].directory)
    trained = load_model(run.inputs["model"].directory)
    smoothing = float(trained.described["label_smoothing"]) if "tissue" in trained.heads else None
    judged = {}
    for split in ("validation", "test"):
        samples = splits.samples_in(split)
        rows = np.concatenate([np.zeros(0, np.int64), *(regions.rows_of(each) for each in samples)])
        judged[split] = levels(regions, rows, score_with(trained, regions, rows), settings, label_smoothing=smoothing)
    calibration = fit(judged["validation"])
    (run.directory / CALIBRATION).write_text(json.dumps(asdict(calibration), indent=1) + "\n")
    return _summary(run, calibration, judged["test"])


def load_calibration(directory: Path) -> Calibration:
    """What the stage calibration left."""
    return Calibration(**json.loads((directory / CALIBRATION).read_text()))


def levels(
    regions: Regions, rows: np.ndarray, scores: Scores, settings: CalibrationSettings, *, label_smoothing: float | None
) -> dict[str, Judged]:
    """What can be calibrated of rows [n] of whole samples: read, pooled_<reads> of each number, and the tissue head of
    its label smoothing (None: it was not trained)."""
    sample = regions.row_sample[rows]
    true = regions.tissue_of_sample[sample]
    known = true >= 0
    rows, sample, true = rows[known], sample[known], true[known]
    likelihood = scores.likelihood[known]
    count = np.maximum(regions.row_count[rows], 1).astype(float)
    found = {"read": Judged(likelihood, true, alike(true, count))}
    if label_smoothing is not None:
        logits = without_smoothing(scores.tissue[known], label_smoothing=label_smoothing)
        found["tissue_head"] = Judged(logits, true, alike(true, count))
    for reads in settings.pooled_reads:
        summed, of_sample = draw_pools(likelihood, sample, count, reads=reads, settings=settings)
        tissue_of = regions.tissue_of_sample[of_sample]
        found[f"pooled_{reads}"] = Judged(summed, tissue_of, alike(tissue_of, np.ones(len(of_sample))))
    return found


def draw_pools(
    likelihood: np.ndarray, sample: np.ndarray, count: np.ndarray, *, reads: int, settings: CalibrationSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Sums [pools, tissues] of `reads` reads drawn from a sample, and the sample [pools] of each; samples with fewer
    reads are left out."""
    rng = np.random.default_rng([settings.seed, reads])
    pools, owners = [], []
    for number in np.unique(sample):
        own = np.flatnonzero(sample == number)
        if count[own].sum() < reads:
            continue
        drawn = rng.choice(own, (settings.draws, reads), p=count[own] / count[own].sum())
        pools.append(likelihood[drawn].sum(1))
        owners.append(np.full(settings.draws, number))
    if not pools:
        return np.zeros((0, likelihood.shape[1])), np.zeros(0, np.int64)
    return np.concatenate(pools), np.concatenate(owners)


def alike(true: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights [n] with the same sum for each tissue."""
    total = np.bincount(true, weight) if len(true) else np.zeros(1)
    found: np.ndarray = weight / total[true]
    return found


def fit(judged: dict[str, Judged]) -> Calibration:
    """Temperatures of the validation donors' items; 1 where there are none of two tissues."""
    pools = [each for name, each in judged.items() if name.startswith("pooled_") and len(each.true)]
    reads, head = judged["read"], judged.get("tissue_head")
    if len(np.unique(reads.true)) < 2:
        return Calibration()
    pooled = 1.0
    if pools:
        together = [np.concatenate([getattr(each, name) for each in pools]) for name in ("scores", "true", "weight")]
        pooled = fit_temperature(together[0], together[1], weight=together[2])
    return Calibration(
        read=fit_temperature(reads.scores, reads.true, weight=reads.weight),
        pooled=pooled,
        tissue_head=1.0 if head is None else fit_temperature(head.scores, head.true, weight=head.weight),
        fitted=True,
    )


def temperature_of(level: str, calibration: Calibration) -> float:
    """The temperature of one of the `levels`."""
    found: float = getattr(calibration, level.partition("_")[0] if level.startswith("pooled") else level)
    return found


def _summary(run: StageRun, calibration: Calibration, test: dict[str, Judged]) -> Summary:
    settings: CalibrationSettings = run.settings
    rows: list[dict[str, Number]] = []
    curves, errors = {}, {}
    for level, judged in test.items():
        if not len(judged.true):
            continue
        temperature = temperature_of(level, calibration)
        before, after = judged.at(1.0, bins=settings.bins), judged.at(temperature, bins=settings.bins)
        curves[level], errors[level] = after, after.error
        scores = judged.scores / temperature
        rows.append(
            {
                "level": level,
                "items": len(judged.true),
                "temperature": temperature,
                "ece_before": before.error,
                "ece": after.error,
                "cross_entropy": cross_entropy(scores, judged.true, weight=judged.weight),
            }
        )
    draw_reliability(curves, run.directory / "figures" / "reliability.png")
    highest = max(errors.values(), default=float("nan"))
    summary = Summary(
        headline=f"Calibration error {errors.get('read', float('nan')):.4f} by read on test donors, at most "
        f"{highest:.4f} at any level; temperature {calibration.read:.2f}.",
        numbers={
            "calibration.ece": errors.get("read"),
            **{f"calibration.{level}.ece": error for level, error in errors.items()},
            **{f"calibration.temperature.{name}": getattr(calibration, name) for name in ("read", "pooled")},
            **({"calibration.temperature.tissue_head": calibration.tissue_head} if "tissue_head" in test else {}),
        },
        tables={"Calibration on test donors": rows},
        figures={"Reliability on test donors": "figures/reliability.png"},
    )
    summary.check(
        "fitted_on_donors",
        calibration.fitted,
        "temperatures are those of validation donors" if calibration.fitted else "no validation donors of two tissues",
    )
    summary.check("calibrated", bool(highest <= TOLERATED_ERROR), f"highest calibration error {highest:.4f}")
    return summary
