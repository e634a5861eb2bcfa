"""Mixtures with a tissue that is then taken out of the reference, as one that nobody knows: what is found of it.

Between what reads show and what they hide an unknown share comes out low, most where it is small. How low is learnt
on mixtures of validation donors, and taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from ml_core.families.tissuebert.baselines import nnls_with_unknown
from ml_core.families.tissuebert.estimator import Estimator
from ml_core.families.tissuebert.evidence import Reads, expected_states
from ml_core.families.tissuebert.mixing import cfdna, mix
from ml_core.families.tissuebert.study import SIDES, Study
from ml_core.families.tissuebert.unknown_curve import AS_FOUND, UnknownCurve
from ml_core.summary import Number

STREAM = 8  # of random numbers
Rows = list[dict[str, Number]]


@dataclass(frozen=True)
class Lacking:
    """Reads of which the share `true` is of a tissue (its number in the whole reference) that `how` does not know."""

    lost: int
    true: float
    how: Estimator
    reads: Reads


def mixtures_lacking(study: Study, side: str, *, groups: np.ndarray) -> Iterator[Lacking]:
    """Each share as often as the settings say, another tissue each time.

    A tissue that shares its group [tissues] is not taken out while there are others: what is left of the group would
    rightly be found in its stead.
    """
    settings, there = study.settings, study.there(side)
    rng = study.rng(STREAM, SIDES[side])
    others = there[there != study.background]
    alone = others[np.bincount(groups)[groups[others]] == 1]
    taken_out = alone if len(alone) else others
    for share in settings.missing_fractions:
        for repeat in range(settings.missing_repeats):
            lost = int(taken_out[repeat % len(taken_out)])
            truth = cfdna(
                there[there != lost] if len(others) > 1 else there,
                background=study.background,
                tissues=study.tissues,
                rng=rng,
            )
            truth[lost] = 0
            truth *= (1 - share) / truth.sum()
            truth[lost] = share
            reads = mix(study.donors[side], truth, depth=settings.missing_depth, rng=rng)
            yield Lacking(lost, share, *_without(study.at(settings.missing_depth), reads, lost))


def learn_curve(study: Study, *, groups: np.ndarray) -> UnknownCurve:
    """What unknown share is true where so much is found, by mixtures of validation donors; as found without any."""
    if not study.can_mix("validation"):
        return AS_FOUND
    asked = list(mixtures_lacking(study, "validation", groups=groups))
    found = np.array([each.how.mixture(each.how.evidence(each.reads)).unknown for each in asked])
    true = np.array([each.true for each in asked])
    levels = np.unique(true)
    means = np.array([found[true == level].mean() for level in levels])
    return UnknownCurve.through(IsotonicRegression().fit_transform(levels, means), levels)


def missing(study: Study, *, groups: np.ndarray) -> pd.DataFrame:
    """One row for each mixture of test donors with a tissue that is then taken out: true and found unknown share, also
    by NNLS, and where the tissue's own markers are not in the panel."""
    rows = []
    for each in mixtures_lacking(study, "test", groups=groups):
        how, reads = each.how, each.reads
        name = study.tables.tissues[each.lost]
        own = (study.panel["target"] == name).to_numpy()[reads.region]
        states = expected_states(study.panel, how.tables.tissues, turned=how.turned)
        rows.append(
            {
                "tissue": name,
                "true": each.true,
                "unknown": how.mixture(how.evidence(reads)).unknown,
                "nnls": nnls_with_unknown(np.delete(study.rates, each.lost, axis=1), states, reads)[-1],
                "without its markers": how.mixture(how.evidence(reads.taken(~own))).unknown,
            }
        )
    return pd.DataFrame(rows)


def missing_error(lost: pd.DataFrame) -> Rows:
    """Mean unknown share for each true one."""
    return [
        {
            "true": float(share),
            "found": float(own["unknown"].mean()),
            "mean absolute error": float((own["unknown"] - share).abs().mean()),
            "found by NNLS": float(own["nnls"].mean()),
            "found, its markers not in the panel": float(own["without its markers"].mean()),
        }
        for share, own in lost.groupby("true")
    ]


def _without(how: Estimator, reads: Reads, lost: int) -> tuple[Estimator, Reads]:
    """Estimator and reads as if nobody had known the tissue."""
    scores = None if reads.scores is None else np.delete(reads.scores, lost, axis=1)
    return replace(how, tables=how.tables.without(how.tables.tissues[lost])), replace(reads, scores=scores)
