"""Whether a real sample may be reported: enough reads, in enough regions, that look like mixtures of known tissues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.evidence import Reads

LEAST_COVERED, LEAST_READS = 0.5, 200.0
QUANTILE, MARGIN = 0.99, 1.25
LARGEST_UNKNOWN = 0.3
RESIDUAL_WITHOUT_MIXTURES = 5.0


@dataclass(frozen=True)
class Gate:
    """reportable, and one sentence for each reason against it; values: what was looked at, with its limit."""

    reasons: tuple[str, ...]
    values: dict[str, tuple[float, float]]

    @property
    def reportable(self) -> bool:
        return not self.reasons


def limits(found: pd.DataFrame) -> dict[str, float]:
    """The gate's limits; the residual's is that of nearly all held-out mixtures (`assess.assess`), and a margin."""
    residual = RESIDUAL_WITHOUT_MIXTURES
    if len(found):
        residual = MARGIN * float(
            np.quantile(found.groupby(["mixtures", "depth", "mixture"])["residual"].first(), QUANTILE)
        )
    return {
        "covered": LEAST_COVERED,
        "reads": LEAST_READS,
        "residual": residual,
        "unknown": LARGEST_UNKNOWN,
    }


def judge(reads: Reads, *, regions: int, residual: float, unknown: float, limit: dict[str, float]) -> Gate:
    """Coverage, depth, fit and unknown share of a sample against the limits."""
    covered = len(np.unique(reads.region)) / max(regions, 1)
    values = {
        "covered": (covered, limit["covered"]),
        "reads": (reads.total, limit["reads"]),
        "residual": (residual, limit["residual"]),
        "unknown": (unknown, limit["unknown"]),
    }
    reasons = []
    if covered < limit["covered"]:
        reasons.append(
            f"{100 * covered:.0f} % of the panel's regions have a read, "
            f"expected at least {100 * limit['covered']:.0f} %"
        )
    if reads.total < limit["reads"]:
        reasons.append(f"{reads.total:,.0f} reads lie in the panel, expected at least {limit['reads']:,.0f}")
    if residual > limit["residual"]:
        reasons.append(
            f"the regions differ {residual:.2f} times as much from the fit as reads and donors explain, "
            f"expected at most {limit['residual']:.2f}: not a mixture of these tissues, or another assay"
        )
    if unknown > limit["unknown"]:
        reasons.append(f"{100 * unknown:.0f} % is of no known tissue, expected at most {100 * limit['unknown']:.0f} %")
    return Gate(tuple(reasons), values)
