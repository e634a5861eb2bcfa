"""Samples of subjects over time: sequences evolved along a tree, communities that follow a trait, reads with errors.

A sample's log abundance of an ASV is the ASV's own level, plus its clade's response to the trait (a bell around the
clade's optimum), plus what is particular to the subject, plus noise; reads are drawn from the softmax of that
(logistic-normal; Aitchison and Shen 1980).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.families.sequence.phylogeny import Phylogeny
from ml_core.families.sequence.settings import RawSettings
from ml_core.families.sequence.simulated_errors import with_errors
from ml_core.families.sequence.simulated_tree import Evolved, evolve

TRAIT_MAX = 24.0  # months, as a trait that grows with age
NICHE = 0.25  # width of a clade's response, as a share of the trait's range
LEVEL_SIGMA = 2.0  # spread of the ASVs' own log abundances: few are common
HOST_SHARE = 0.25  # of the clades that the host's kind changes


@dataclass(frozen=True)
class Cohort:
    """**Shapes**, n samples, a ASVs: counts [n, a] int64; metadata n rows: sample_id, subject, trait, stage, host, "
    "coin."""

    counts: np.ndarray
    metadata: pd.DataFrame


@dataclass(frozen=True)
class Simulated:
    """phylogeny: tips are called by their sequences; sequences [a] str objects; truth: a rows, kind, clade, optimum.

    main has a trait for each sample; extra, of other subjects, is for pretraining and is written without metadata.
    """

    phylogeny: Phylogeny
    sequences: np.ndarray
    truth: pd.DataFrame
    main: Cohort
    extra: Cohort | None


def simulate(settings: RawSettings) -> Simulated:
    """Everything from one seed."""
    rng = np.random.default_rng(settings.seed)
    evolved = evolve(settings, rng=rng)
    world = _World.drawn(evolved, settings=settings, rng=rng)
    per_subject = settings.samples_per_subject
    main = _cohort(world, subjects=settings.subjects, per_subject=per_subject, prefix="s", settings=settings, rng=rng)
    extra = None
    if settings.extra_samples:
        subjects = -(-settings.extra_samples // per_subject)
        whole = _cohort(world, subjects=subjects, per_subject=per_subject, prefix="x", settings=settings, rng=rng)
        extra = Cohort(whole.counts[: settings.extra_samples], whole.metadata[: settings.extra_samples])
    return _with_errors(evolved, world, main=main, extra=extra, settings=settings, rng=rng)


@dataclass(frozen=True)
class _World:
    """level [a]: each ASV's own log abundance; clade [a]; optimum [c] in 0..1; host_effect [c]."""

    level: np.ndarray
    clade: np.ndarray
    optimum: np.ndarray
    host_effect: np.ndarray

    @classmethod
    def drawn(cls, evolved: Evolved, *, settings: RawSettings, rng: np.random.Generator) -> _World:
        clades = int(evolved.clade.max()) + 1
        changed = rng.random(clades) < HOST_SHARE
        return cls(
            level=rng.normal(0, LEVEL_SIGMA, len(evolved.clade)),
            clade=evolved.clade,
            optimum=rng.uniform(-0.2, 1.2, clades),
            host_effect=np.where(changed, rng.choice([-1.0, 1.0], clades), 0.0) * settings.trait_effect,
        )


def _cohort(
    world: _World,
    *,
    subjects: int,
    per_subject: int,
    prefix: str,
    settings: RawSettings,
    rng: np.random.Generator,
) -> Cohort:
    subject = np.repeat(np.arange(subjects), per_subject)
    n, clades = len(subject), len(world.optimum)
    trait = np.sort(rng.random((subjects, per_subject)), axis=1).ravel()  # [n] in 0..1, ascending within a subject
    host, coin = rng.integers(2, size=(2, subjects))
    own = rng.normal(0, settings.subject_effect, (subjects, clades))
    response = settings.trait_effect * (
        2 * np.exp(-0.5 * ((trait[:, None] - world.optimum) / NICHE) ** 2) - 1
    )  # [n, clades]
    of_clade = response + own[subject] + host[subject, None] * world.host_effect
    log_abundance = world.level + of_clade[:, world.clade] + rng.normal(0, settings.noise, (n, len(world.level)))
    share = np.exp(log_abundance - log_abundance.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    reads = np.maximum(rng.lognormal(np.log(settings.reads), settings.reads_sigma, n), 1).astype(np.int64)
    within = np.tile(np.arange(1, per_subject + 1), subjects)
    metadata = pd.DataFrame({
        "sample_id": [f"{prefix}{s + 1:03d}.{number:02d}" for s, number in zip(subject, within, strict=True)],
        "subject": [f"{prefix}{s + 1:03d}" for s in subject],
        "trait": np.round(TRAIT_MAX * trait, 2),
        "stage": np.array(["early", "middle", "late"])[np.minimum((3 * trait).astype(int), 2)],
        "host": np.array(["a", "b"])[host[subject]],
        "coin": np.array(["heads", "tails"])[coin[subject]],
    })  # fmt: skip
    return Cohort(rng.multinomial(reads, share), metadata)


def _with_errors(
    evolved: Evolved,
    world: _World,
    *,
    main: Cohort,
    extra: Cohort | None,
    settings: RawSettings,
    rng: np.random.Generator,
) -> Simulated:
    cohorts = [main] if extra is None else [main, extra]
    rows = np.cumsum([len(each.counts) for each in cohorts])[:-1]
    phylogeny, sequences, counts, kind, origin = with_errors(
        evolved, np.concatenate([each.counts for each in cohorts]), settings=settings, rng=rng
    )
    parts = np.split(counts, rows)
    clade = world.clade[origin]
    truth = pd.DataFrame(
        {"sequence": sequences, "kind": kind, "clade": clade, "optimum": TRAIT_MAX * world.optimum[clade]}
    )
    return Simulated(
        phylogeny,
        sequences,
        truth,
        main=Cohort(parts[0], main.metadata),
        extra=None if extra is None else Cohort(parts[1], extra.metadata),
    )
