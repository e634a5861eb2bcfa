"""Where a baseline does better than the model: each comparison of the report, decided by its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ml_core.summary import Number

OF_MIXTURES = re.compile(r"mixtures\.(depth_(\d+))\.mae")
OF_FEW_READS = re.compile(r"test\.(reads_(\d+))\.sample_accuracy")
NAMES = {"logistic": "logistic regression", "naive_bayes": "naive Bayes", "nnls": "NNLS", "em": "EM"}
TIE = 2.0  # standard errors within which a difference is one
SAMPLES, FEW, REGIONS, READS, MIXTURES = "samples", "samples of few reads", "regions", "reads", "mixtures"
OF_READS = {"read_accuracy": "single reads", "read_auc": "single reads, by AUC"}
CLASSIFIERS, ESTIMATORS = ("logistic", "naive_bayes"), ("nnls", "em")


@dataclass(frozen=True)
class Comparison:
    """The model and the best baseline at something of a `kind`; sign: 1 where more is better; error: standard
    error of their difference, where it is known."""

    kind: str
    what: str
    baseline: str
    ours: float
    theirs: float
    sign: int
    error: float | None = None

    @property
    def behind(self) -> bool:
        return self.sign * self.theirs > self.sign * self.ours

    @property
    def tied(self) -> bool:
        """Whether the difference is within twice its standard error."""
        return self.error is not None and abs(self.ours - self.theirs) <= TIE * self.error

    def __str__(self) -> str:
        shown = f"{self.baseline} at {self.what} ({self.theirs:.4g}, the model {self.ours:.4g}"
        return f"{shown})" if self.error is None else f"{shown}, standard error of the difference {self.error:.2g})"


def lost(numbers: Mapping[str, Number]) -> list[Comparison]:
    """Those that a baseline wins."""
    return [each for each in comparisons(numbers) if each.behind and not each.tied]


def tied(numbers: Mapping[str, Number]) -> list[Comparison]:
    """Those in which a baseline is ahead by less than can be told from chance."""
    return [each for each in comparisons(numbers) if each.behind and each.tied]


def comparisons(numbers: Mapping[str, Number]) -> Iterator[Comparison]:
    """Of single reads where the data are tables of reads; else of samples, also of few reads, of mixtures, of regions
    and of reads."""
    if "test.read_auc_lead" in numbers:
        for metric, what in OF_READS.items():
            yield from _best(numbers, READS, what, f"test.{metric}", f"baseline.{{}}.{metric}", CLASSIFIERS)
        return
    yield from _best(numbers, SAMPLES, "samples", "test.sample_accuracy", "baseline.{}.sample_accuracy", CLASSIFIERS)
    for name in numbers:
        if found := OF_FEW_READS.fullmatch(name):
            rivals = f"baseline.{{}}.{found[1]}.sample_accuracy"
            yield from _best(numbers, FEW, f"samples of {found[2]} reads", name, rivals, CLASSIFIERS)
        elif found := OF_MIXTURES.fullmatch(name):
            rivals = f"baseline.{{}}.{found[1]}.mae"
            yield from _best(numbers, MIXTURES, f"mixtures of depth {found[2]}", name, rivals, ESTIMATORS, sign=-1)
    for kind, what in ((REGIONS, "region"), (READS, "read")):
        rivals = f"baseline.{{}}.{what}_accuracy"
        yield from _best(numbers, kind, f"single {what}s", f"test.{what}_accuracy", rivals, ("naive_bayes",))


def _best(
    numbers: Mapping[str, Number],
    kind: str,
    what: str,
    ours: str,
    rivals: str,
    names: tuple[str, ...],
    *,
    sign: int = 1,
) -> Iterator[Comparison]:
    """Against the best of those that were measured; nothing where the model or all of them were not."""
    found = {name: value for name in names if (value := _number(numbers.get(rivals.format(name)))) is not None}
    mine = _number(numbers.get(ours))
    if mine is None or not found:
        return
    best = max(found, key=lambda name: sign * found[name])
    yield Comparison(kind, what, NAMES[best], mine, found[best], sign, _number(numbers.get(f"{ours}_lead_se")))


def _number(value: Number) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
