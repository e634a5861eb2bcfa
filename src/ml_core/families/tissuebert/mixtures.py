"""The stage `mixtures`: held-out donors mixed in known proportions, and what is found of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert import mixture_figures
from ml_core.families.tissuebert.assess import (
    assess,
    coverage,
    detection,
    detection_table,
    error_by_depth,
)
from ml_core.families.tissuebert.baselines import count_regions, rates
from ml_core.families.tissuebert.donors import DonorSplits, load_splits
from ml_core.families.tissuebert.gate import limits
from ml_core.families.tissuebert.groups import group_names, group_tissues
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.held_out import Score, held_out
from ml_core.families.tissuebert.likelihoods import fit_likelihoods
from ml_core.families.tissuebert.missing import learn_curve, missing, missing_error
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.report_settings import MixturesSettings
from ml_core.families.tissuebert.study import SIDES, Study, choose, save_study, with_intervals
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

COVERS = (0.92, 0.98)
UNKNOWN_WITHIN = 0.02


def build(run: StageRun) -> Summary:
    """Learn the reference, choose estimators on validation donors, and assess them on test donors."""
    settings: MixturesSettings = run.settings
    regions = open_regions(run.inputs["regions"].directory / FILE)
    splits = load_splits(run.inputs["splits"].directory)
    study = prepare(regions, splits, settings=settings, score=model_score(run, regions))
    groups = group_tissues(
        study.tables,
        moved=settings.group_share,
        depth=settings.group_depth,
        donor_correlation=settings.donor_correlation,
    )
    study, tried = choose(study)
    study = study.reading(learn_curve(study, groups=groups))
    study = with_intervals(study)
    summary = Summary(tables={"Estimators tried on validation donors": [dict(row) for row in tried]})
    found = assess(study) if study.can_mix("test") else pd.DataFrame()
    save_study(run.directory, study, groups=groups, gate=limits(found))
    if study.can_mix("test"):
        _measured(run, study, found, groups=groups, summary=summary)
    else:
        _not_measured(study, summary)
    return summary


def model_score(run: StageRun, regions: Regions) -> Score | None:
    """What asks the trained model, or None where only tables are wanted."""
    if run.settings.evidence == "tables":
        return None
    from ml_core.families.tissuebert.inference import predict_rows

    predict: Callable[..., np.ndarray] = predict_rows
    return lambda rows: predict(run.inputs["model"].directory, regions, rows)


def prepare(regions: Regions, splits: DonorSplits, *, settings: MixturesSettings, score: Score | None) -> Study:
    """Tables and plain rates of the training donors, held-out donors with their scores; no estimator is chosen yet.

    Tables of reads have a donor in all splits and a read or two of a region, so that nobody is held out.
    """
    train = splits.samples_in("train")
    tissue = regions.tissue_of_sample[train]
    names = list(regions.tissues["name"])
    if settings.background is not None and settings.background not in names:
        raise UserError(
            f"mixtures.background is '{settings.background}', which is no tissue of the samples, expected one of "
            f"{', '.join(names)}."
        )
    common = int(np.bincount(tissue, minlength=len(names)).argmax())
    return Study(
        settings=settings,
        tables=fit_likelihoods(regions, train, donor_correlation=settings.donor_correlation),
        panel=regions.regions,
        rates=rates(count_regions(regions, train), tissue, tissues=len(names)),
        donors={
            side: [] if splits.given else held_out(regions, splits.samples_in(side), score=score) for side in SIDES
        },
        background=common if settings.background is None else names.index(settings.background),
        scored=score is not None,
    )


def _measured(run: StageRun, study: Study, found: pd.DataFrame, *, groups: np.ndarray, summary: Summary) -> None:
    settings, tissues = study.settings, study.tables.tissues
    seen, lost = detection(study), missing(study, groups=groups)
    for name, frame in (("mixtures", found), ("detection", seen), ("missing", lost)):
        frame.to_parquet(run.directory / f"{name}.parquet", index=False)
    errors = error_by_depth(found, groups=groups)
    for row in errors:
        depth = row["depth"]
        of_cfdna = row["mixtures"] == "cfdna"
        prefix = f"depth_{depth}" if of_cfdna else f"{row['mixtures']}.depth_{depth}"
        summary.numbers |= {
            f"mixtures.{prefix}.mae": row["ours"],
            f"mixtures.{prefix}.grouped_mae": row["ours, grouped"],
            f"baseline.nnls.{prefix}.mae": row["nnls"],
            f"baseline.em.{prefix}.mae": row["em"],
        }
    covers = coverage(found)
    summary.numbers |= covers
    of_missing = missing_error(lost)
    worst = _worst(of_missing, "found")
    summary.numbers |= {
        "unknown.worst_mean_error": worst,
        "baseline.nnls.unknown.worst_mean_error": _worst(of_missing, "found by NNLS"),
        "unknown.mae": float((lost["unknown"] - lost["true"]).abs().mean()) if len(lost) else None,
        "groups.merged": len(tissues) - int(groups.max() + 1),
    }
    limits_of = detection_table(seen, tissues=tissues, background=study.background)
    known = [float(row["limit of detection"]) for row in limits_of if row["limit of detection"] is not None]
    summary.numbers["detection.median_limit"] = float(np.median(known)) if known else None
    summary.tables |= {
        "Error by depth": errors,
        "A tissue that the reference lacks": of_missing,
        "Detection limits": limits_of,
        "Groups of tissues": _groups(tissues, groups),
    }
    folder = run.directory / "figures"
    mixture_figures.draw_errors(folder / "errors.png", rows=errors)
    mixture_figures.draw_true_found(folder / "true_found.png", found=found)
    mixture_figures.draw_unknown(folder / "unknown.png", lost=lost)
    mixture_figures.draw_detection(folder / "detection.png", rows=limits_of)
    summary.figures |= {
        "Error of proportions": "figures/errors.png",
        "Proportions, true and found": "figures/true_found.png",
        "A tissue that the reference lacks": "figures/unknown.png",
        "Detection limits": "figures/detection.png",
    }
    _checks(summary, errors=errors, covers=float(covers["interval.coverage"] or 0), worst=worst)
    shallowest = min(settings.depths)
    summary.headline = (
        f"Proportions of held-out donors' mixtures are off by "
        f"{summary.numbers[f'mixtures.depth_{shallowest}.mae']:.4f} "
        f"at depth {shallowest}; intervals hold {100 * float(covers['interval.coverage'] or 0):.1f} %."
    )


def _worst(of_missing: list[dict[str, Number]], column: str) -> float:
    """Largest difference of a mean unknown share from the true one; NaN where none was missing."""
    return max((abs(float(row[column] or 0) - float(row["true"] or 0)) for row in of_missing), default=float("nan"))


def _groups(tissues: list[str], groups: np.ndarray) -> list[dict[str, Number]]:
    names = group_names(tissues, groups)
    return [{"group": name, "tissues": int((groups == each).sum())} for each, name in enumerate(names)]


def _checks(summary: Summary, *, errors: list[dict[str, Number]], covers: float, worst: float) -> None:
    own = [row for row in errors if row["mixtures"] == "cfdna"]
    lost = [
        f"depth {row['depth']}: {float(row['ours'] or 0):.4f} against "
        f"{min(float(row['nnls'] or 0), float(row['em'] or 0)):.4f}"
        for row in own
        if float(row["ours"] or 0) > min(float(row["nnls"] or 0), float(row["em"] or 0))
    ]
    summary.check("baselines_beaten", not lost, "; ".join(lost) or "at every depth")
    text = f"{100 * covers:.1f} % of the true proportions are in their 95 % intervals"
    summary.check("intervals_hold", COVERS[0] <= covers <= COVERS[1], text)
    text = f"the mean unknown share is off by at most {100 * worst:.1f} points"
    summary.check("unknown_found", bool(worst <= UNKNOWN_WITHIN), text)


def _not_measured(study: Study, summary: Summary) -> None:
    """Where no two tissues have a held-out donor with reads: the reference is there, its errors are not known."""
    for depth in study.settings.depths:
        for name in ("mixtures", "baseline.nnls", "baseline.em"):
            summary.numbers[f"{name}.depth_{depth}.mae"] = None
    summary.numbers["interval.coverage"] = None
    background = study.tables.tissues[study.background]
    summary.headline = (
        f"No mixtures: they need test donors with reads of {background} and of another tissue; errors are not known."
    )
    for name in ("baselines_beaten", "intervals_hold", "unknown_found"):
        summary.check(name, False, "not measured, for want of test donors with reads")
