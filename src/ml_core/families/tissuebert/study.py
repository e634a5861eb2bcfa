"""What the mixtures stage knows: the reference, held-out donors, and how each depth is estimated."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.families.tissuebert.estimator import Estimator, estimate
from ml_core.families.tissuebert.evidence import Reads, Source
from ml_core.families.tissuebert.held_out import Donor
from ml_core.families.tissuebert.intervals import choose_widening
from ml_core.families.tissuebert.likelihoods import LikelihoodTables, load_tables, save_tables
from ml_core.families.tissuebert.mixing import cfdna, dirichlet, mix
from ml_core.families.tissuebert.report_settings import MixturesSettings
from ml_core.families.tissuebert.unknown_curve import UnknownCurve

TABLES, CHOICES = "likelihoods.npz", "estimators.json"
SIDES = {"validation": 1, "test": 2}


@dataclass(frozen=True)
class Study:
    """tables and panel of the reference; rates [regions, tissues] for the plain baselines; donors by split; background:
    number of the tissue that most of cell-free DNA is from; chosen: estimator of each depth."""

    settings: MixturesSettings
    tables: LikelihoodTables
    panel: pd.DataFrame
    rates: np.ndarray
    donors: dict[str, list[Donor]]
    background: int
    scored: bool
    chosen: dict[int, Estimator] = field(default_factory=dict)

    @property
    def tissues(self) -> int:
        return len(self.tables.tissues)

    def there(self, side: str) -> np.ndarray:
        """Tissues with a held-out donor, ascending."""
        return np.unique([donor.tissue for donor in self.donors[side]]).astype(int)

    def can_mix(self, side: str) -> bool:
        """Whether the background and another tissue have a held-out donor."""
        there = self.there(side)
        return len(there) > 1 and self.background in there

    def rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *key])

    def estimator(self, source: Source, concentration: float) -> Estimator:
        settings = self.settings
        return Estimator(self.tables, self.panel, source, concentration, settings.donor_correlation, settings.turned)

    def at(self, depth: float) -> Estimator:
        """The estimator of the depth nearest to `depth`, by its logarithm."""
        nearest = min(self.chosen, key=lambda each: abs(np.log(each / max(depth, 0.1))))
        return self.chosen[nearest]

    def reading(self, curve: UnknownCurve) -> Study:
        """The study with estimators that read unknown shares by this curve."""
        return replace(self, chosen={depth: replace(how, curve=curve) for depth, how in self.chosen.items()})

    def like_cfdna(self, side: str, *, depth: int, count: int) -> list[tuple[np.ndarray, Reads]]:
        """(proportions [tissues], reads) of `count` mixtures like cell-free DNA."""
        rng = self.rng(SIDES[side], depth, 0)
        truths = [
            cfdna(self.there(side), background=self.background, tissues=self.tissues, rng=rng) for _ in range(count)
        ]
        return [(truth, mix(self.donors[side], truth, depth=depth, rng=rng)) for truth in truths]

    def of_all_tissues(self, side: str, *, depth: int, count: int) -> list[tuple[np.ndarray, Reads]]:
        """The same of all tissues (Dirichlet)."""
        rng = self.rng(SIDES[side], depth, 1)
        truths = [dirichlet(self.there(side), tissues=self.tissues, rng=rng) for _ in range(count)]
        return [(truth, mix(self.donors[side], truth, depth=depth, rng=rng)) for truth in truths]


def choose(study: Study) -> tuple[Study, list[dict[str, float | str]]]:
    """The study with an estimator for each depth, and what each candidate's error was on validation donors.

    Without validation donors to mix, the tables with a flat prior.
    """
    settings, chosen, rows = study.settings, {}, []
    for depth in settings.depths:
        if not study.can_mix("validation"):
            chosen[depth] = study.estimator("tables", 1.0)
            continue
        mixtures = study.like_cfdna("validation", depth=depth, count=settings.validation)
        errors = {
            (source, concentration): _error(study.estimator(source, concentration), mixtures)
            for source in _sources(study)
            for concentration in settings.concentrations
        }
        source, concentration = min(errors, key=lambda each: errors[each])
        rows += [
            {"depth": depth, "evidence": each[0], "concentration": each[1], "mean absolute error": error}
            for each, error in errors.items()
        ]
        chosen[depth] = study.estimator(source, concentration)
    return replace(study, chosen=chosen), rows


def with_intervals(study: Study) -> Study:
    """The study with intervals as wide as validation donors show to be needed; without any, as they come."""
    if not study.can_mix("validation"):
        return study
    settings = study.settings
    widened = {
        depth: _with_intervals(
            study, how, study.like_cfdna("validation", depth=depth, count=settings.validation), depth=depth
        )
        for depth, how in study.chosen.items()
    }
    return replace(study, chosen=widened)


def _sources(study: Study) -> list[Source]:
    if not study.scored:
        return ["tables"]
    return ["tables", "model", "both"] if study.settings.evidence == "auto" else [study.settings.evidence]


def _error(how: Estimator, mixtures: list[tuple[np.ndarray, Reads]]) -> float:
    found = [how.mixture(how.evidence(reads), unknown=False).proportions for _, reads in mixtures]
    return float(np.mean([np.abs(each - truth) for each, (truth, _) in zip(found, mixtures, strict=True)]))


def _with_intervals(study: Study, how: Estimator, mixtures: list[tuple[np.ndarray, Reads]], *, depth: int) -> Estimator:
    """The estimator with its intervals as wide as validation donors show to be needed, both kinds of mixture."""
    both = mixtures + study.of_all_tissues("validation", depth=depth, count=study.settings.dirichlet)
    settings = study.settings
    found = [estimate(how, reads, draws=settings.bootstrap_draws, seed=settings.seed) for _, reads in both]
    widen = choose_widening(
        [each.proportions[:-1] for each in found],
        [each.draws[:, :-1] for each in found],
        [each.errors[:-1] for each in found],
        [truth for truth, _ in both],
    )
    return replace(how, widen=widen)


def save_study(directory: Path, study: Study, *, groups: np.ndarray, gate: dict[str, float]) -> None:
    """Write likelihoods.npz and estimators.json: what predict needs."""
    save_tables(directory / TABLES, study.tables)
    described = {
        "depths": {
            str(depth): {
                "source": how.source,
                "concentration": how.concentration,
                "widen": how.widen,
                "curve": asdict(how.curve),
            }
            for depth, how in study.chosen.items()
        },
        "donor_correlation": study.settings.donor_correlation,
        "turned": study.settings.turned,
        "groups": [int(each) for each in groups],
        "gate": gate,
    }
    (directory / CHOICES).write_text(json.dumps(described, indent=1) + "\n")


@dataclass(frozen=True)
class Learnt:
    """What the mixtures stage left: estimator by depth, groups [tissues], and the gate's limits."""

    chosen: dict[int, Estimator]
    groups: np.ndarray
    gate: dict[str, float]

    def at(self, depth: float) -> Estimator:
        """The estimator of the depth nearest to `depth`."""
        return self.chosen[min(self.chosen, key=lambda each: abs(np.log(each / max(depth, 0.1))))]


def load_learnt(directory: Path, panel: pd.DataFrame) -> Learnt:
    """The mixtures stage's artifact; panel: the regions' frame."""
    tables = load_tables(directory / TABLES)
    described = json.loads((directory / CHOICES).read_text())
    common = (described["donor_correlation"], described["turned"])
    chosen = {
        int(depth): Estimator(
            tables,
            panel,
            each["source"],
            each["concentration"],
            *common,
            each["widen"],
            UnknownCurve(**{name: tuple(ends) for name, ends in each["curve"].items()}),
        )
        for depth, each in described["depths"].items()
    }
    return Learnt(chosen, np.array(described["groups"]), described["gate"])
