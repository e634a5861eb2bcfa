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
BENT, STEP_GB = 3.5, 0.005  # a second step so many times the first, and no smaller, is no line's


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
    """The largest input with which no stage needs more than `MACHINE_GB`, as `most` sees it."""
    found = {stage: most(sizes, of_stage) for stage, of_stage in costs.items()}
    stage = min(found, key=lambda name: found[name])
    return Row(
        f"largest input within {MACHINE_GB:g} GB, by the growth from here on",
        Side(f"limited by {stage}:", float(f"{found[stage]:.2g}"), unit),
        series={"most": [value for value in found.values() if math.isfinite(value)]},
    )


def most(sizes: list[float], costs: list[Cost]) -> float:
    """The input with which a stage comes to `MACHINE_GB`: by a line, or by a parabola where the growth itself grows.

    Of three sizes, each twice the one before, a line's second step is twice its first, and a parabola's four times. A
    first step downwards is noise and tells nothing: then the line begins at the second size.
    """
    grown = [cost.grown_gb for cost in costs]
    left = MACHINE_GB - costs[-1].before_gb - grown[-1]
    first, last = grown[1] - grown[0], grown[-1] - grown[1]
    power = 2 if last > STEP_GB and last > BENT * first > 0 else 1
    start = 1 if power == 2 or first <= 0 else 0
    slope = (grown[-1] - grown[start]) / (sizes[-1] ** power - sizes[start] ** power) if len(sizes) > start + 1 else 0.0
    return (sizes[-1] ** power + left / slope) ** (1 / power) if slope > 0 else math.inf
