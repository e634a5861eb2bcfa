"""What follows from costs at several sizes: exponents, and the largest input that a machine can take.

Time and memory of a stage that hardly takes any are not judged: what stays the same, and noise, would be taken for its
growth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml_core.bench.case import Reach, Row, Side
from ml_core.bench.turns import join

MOST = 1.1  # of both exponents
LEAST_SECONDS, LEAST_GB = 0.4, 0.03  # at the largest input: below, an exponent is noise
MACHINE_GB = 16.0


@dataclass(frozen=True)
class Cost:
    """Of one stage at one size. before_gb: what its process had before."""

    cpu_seconds: float
    grown_gb: float
    before_gb: float


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of log(value) over log(size), least squares."""
    x, y = ([math.log(max(each, 1e-9)) for each in pair] for pair in (sizes, values))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def row_of(stage: str, unit: str, sizes: list[float], costs: list[Cost]) -> Row:
    """The larger of the exponents of time and memory that are more than noise."""
    seconds, memory = [cost.cpu_seconds for cost in costs], [cost.grown_gb for cost in costs]
    of_time, of_memory = exponent(sizes, seconds), exponent(sizes, memory)
    judged = [
        e for e, enough in ((of_time, seconds[-1] >= LEAST_SECONDS), (of_memory, memory[-1] >= LEAST_GB)) if enough
    ]
    spread = " to ".join(f"{each:,.0f}" for each in (sizes[0], sizes[-1]))
    return Row(
        f"{stage}, {spread} {unit}",
        Side("exponent", max(judged) if judged else of_time, ""),
        reach=Reach(most=MOST) if judged else None,
        note=join(
            f"{' / '.join(f'{each:.2f}' for each in seconds)} CPU-s, exponent {of_time:.2f}",
            f"{' / '.join(f'{each:.3f}' for each in memory)} GB, exponent {of_memory:.2f}",
            "" if judged else "too little to judge",
        ),
        rounds=1,
        series={"size": sizes, "cpu_seconds": seconds, "grown_gb": memory, "exponents": [of_time, of_memory]},
    )


def fitting(unit: str, sizes: list[float], costs: dict[str, list[Cost]]) -> Row:
    """The largest input with which no stage needs more than `MACHINE_GB`, by a line through the least and the most."""
    most: dict[str, float] = {}
    for stage, of_stage in costs.items():
        slope = (of_stage[-1].grown_gb - of_stage[0].grown_gb) / (sizes[-1] - sizes[0])
        rest = MACHINE_GB - of_stage[0].before_gb - of_stage[0].grown_gb
        most[stage] = sizes[0] + rest / slope if slope > 0 else math.inf
    stage = min(most, key=lambda name: most[name])
    return Row(
        f"largest input within {MACHINE_GB:g} GB, by a line through these",
        Side(f"limited by {stage}:", float(f"{most[stage]:.2g}"), unit),
        series={"most": [most[name] for name in costs if math.isfinite(most[name])]},
    )
