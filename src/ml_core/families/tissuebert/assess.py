"""What estimators make of mixtures whose proportions are known: errors, intervals, detection."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.baselines import plain_em, plain_nnls
from ml_core.families.tissuebert.detection import limit_of_blank, limit_of_detection
from ml_core.families.tissuebert.estimator import estimate
from ml_core.families.tissuebert.groups import summed
from ml_core.families.tissuebert.mixing import mix, spiked
from ml_core.families.tissuebert.study import Study
from ml_core.summary import Number

Rows = list[dict[str, Number]]
METHODS = ("ours", "nnls", "em")
GRID = 7  # which stream of random numbers


def assess(study: Study) -> pd.DataFrame:
    """One row for each mixture of test donors and tissue: mixtures (cfdna, dirichlet), depth, mixture, tissue, true,
    low, high, unknown, residual, reads (mean in a region), and what ours, nnls and em found."""
    settings, frames = study.settings, []
    for depth in settings.depths:
        sets = {
            "cfdna": study.like_cfdna("test", depth=depth, count=settings.cfdna),
            "dirichlet": study.of_all_tissues("test", depth=depth, count=settings.dirichlet),
        }
        for name, mixtures in sets.items():
            for number, (truth, reads) in enumerate(mixtures):
                found = estimate(study.at(depth), reads, draws=settings.bootstrap_draws, seed=settings.seed + number)
                frames.append(
                    pd.DataFrame(
                        {
                            "mixtures": name,
                            "depth": depth,
                            "mixture": number,
                            "tissue": np.arange(study.tissues),
                            "true": truth,
                            "ours": found.proportions[:-1],
                            "low": found.low[:-1],
                            "high": found.high[:-1],
                            "unknown": found.proportions[-1],
                            "residual": found.residual,
                            "reads": reads.total / len(study.panel),
                            "nnls": plain_nnls(study.rates, reads),
                            "em": plain_em(study.rates, reads),
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)


def error_by_depth(found: pd.DataFrame, *, groups: np.ndarray) -> Rows:
    """Mean absolute error of each method by kind of mixture and depth; ours also with grouped tissues summed."""
    rows: Rows = []
    for (name, depth), own in found.groupby(["mixtures", "depth"], sort=True):
        row: dict[str, Number] = {"mixtures": str(name), "depth": int(depth), "count": own["mixture"].nunique()}
        row |= {method: float((own[method] - own["true"]).abs().mean()) for method in METHODS}
        wide = own.pivot_table(index="mixture", columns="tissue", values=["ours", "true"])
        apart = summed(wide["ours"].to_numpy(), groups) - summed(wide["true"].to_numpy(), groups)
        rows.append(
            row
            | {
                "ours, grouped": float(np.abs(apart).mean()),
                "unknown": float(own["unknown"].mean()),
                "reads in a region": float(own["reads"].mean()),
            }
        )
    return rows


def coverage(found: pd.DataFrame) -> dict[str, Number]:
    """Share of the true proportions above 0 that lie in their intervals, over all and by depth, and of those of 0."""
    inside = (found["true"] >= found["low"]) & (found["true"] <= found["high"])
    present = found["true"] > 0
    by_depth = inside[present].groupby(found["depth"][present]).mean()
    numbers: dict[str, Number] = {f"interval.depth_{depth}.coverage": float(each) for depth, each in by_depth.items()}
    return numbers | {
        "interval.coverage": float(inside[present].mean()),
        "interval.coverage_of_absent": float(inside[~present].mean()) if (~present).any() else None,
        "interval.mean_width": float((found["high"] - found["low"])[present].mean()),
    }


def detection(study: Study) -> pd.DataFrame:
    """One row for each mixture of the grid: depth, tissue (-1: background alone), fraction, and what was found of each
    tissue (columns found_0, ...)."""
    settings, rows = study.settings, []
    common = {"background": study.background, "tissues": study.tissues}
    for depth in settings.grid_depths:
        rng = study.rng(GRID, depth)
        wanted = [(-1, 0.0)] * settings.blanks + [
            (int(tissue), share)
            for tissue in study.there("test")
            if tissue != study.background
            for share in settings.grid_fractions
            for _ in range(settings.grid_repeats)
        ]
        how = study.at(depth)
        for tissue, share in wanted:
            truth = spiked(max(tissue, 0), share, **common) if share else spiked(study.background, 0.0, **common)
            reads = mix(study.donors["test"], truth, depth=depth, rng=rng)
            found = how.mixture(how.evidence(reads)).proportions
            row = {"depth": depth, "tissue": tissue, "fraction": share}
            rows.append(row | {f"found_{number}": each for number, each in enumerate(found)})
    return pd.DataFrame(rows)


def detection_table(seen: pd.DataFrame, *, tissues: list[str], background: int) -> Rows:
    """Limits of blank and of detection of each tissue at each depth; nothing where no share tried is enough."""
    rows: Rows = []
    for depth, own in seen.groupby("depth"):
        blanks = own[own["tissue"] == -1]
        for number, name in enumerate(tissues):
            spikes = own[own["tissue"] == number]
            if number == background or not len(spikes):
                continue
            blank = float(limit_of_blank(blanks[[f"found_{number}"]].to_numpy())[0])
            limit = limit_of_detection(blank, spikes["fraction"].to_numpy(), spikes[f"found_{number}"].to_numpy())
            shown = limit if np.isfinite(limit) else None
            rows.append({"tissue": name, "depth": int(depth), "limit of blank": blank, "limit of detection": shown})
    return rows
