"""Have the embeddings collapsed, and do they know more than an untrained network? The decision, with its reasons.

A constant embedding must fail for its shape, an untrained network for its links; a report shows that they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml_core.families.hgt.evaluate import Gain
from ml_core.families.hgt.geometry import Shapes
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.metrics.embedding import Geometry

Word = Literal["pass", "warn", "fail"]
HALF = 0.5  # the share of the greatest possible effective rank that a small type is asked for


@dataclass(frozen=True)
class TypeVerdict:
    """Of one type of nodes. asked_rank: the least effective rank; reasons: empty for a pass."""

    node_type: str
    word: Word
    judged: bool
    asked_rank: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """Of all types and of the links."""

    word: Word
    types: tuple[TypeVerdict, ...]
    links_beaten: bool
    reasons: tuple[str, ...]  # of all that fails or, where nothing fails, of all that warns


def decide(found: Shapes, links: Gain, *, width: int, settings: ReportSettings) -> Verdict:
    """`links` is the gain in filtered MRR over the untrained network, mean over relations; `width` of the embedding."""
    types = tuple(judge_type(name, shape, width=width, settings=settings) for name, shape in found.by_type.items())
    beaten = links.low > 0  # NaN is no gain
    failures = [reason for each in types if each.word == "fail" for reason in each.reasons]
    if not beaten:
        failures.append(
            "links are not better than the untrained network's (filtered MRR, mean over relations: "
            f"{links.value:+.4f}, 95 % {links.low:+.4f} to {links.high:+.4f})"
        )
    warnings = [reason for each in types if each.word == "warn" for reason in each.reasons]
    word: Word = "fail" if failures else "warn" if warnings else "pass"
    return Verdict(word, types, beaten, tuple(failures or warnings))


def judge_type(name: str, shape: Geometry, *, width: int, settings: ReportSettings) -> TypeVerdict:
    """Effective rank and mean cosine of one type against the settings."""
    asked = rank_asked(shape.nodes, width=width, least=settings.min_effective_rank)
    if shape.nodes < settings.min_type_nodes:
        return TypeVerdict(name, "pass", False, asked, ())
    failures, warnings = [], []
    if not shape.effective_rank >= asked:
        failures.append(f"{name}: effective rank {shape.effective_rank:.1f} is below {asked:.3g}")
    if not shape.within_cosine <= settings.max_within_cosine:
        failures.append(f"{name}: mean cosine {shape.within_cosine:.3f} is above {settings.max_within_cosine}")
    elif shape.within_cosine > settings.warn_within_cosine:
        warnings.append(f"{name}: mean cosine {shape.within_cosine:.3f} is above {settings.warn_within_cosine}")
    word: Word = "fail" if failures else "warn" if warnings else "pass"
    return TypeVerdict(name, word, True, asked, tuple(failures or warnings))


def rank_asked(nodes: int, *, width: int, least: float) -> float:
    """`least`, but no more than half of min(nodes, width), which is the greatest effective rank that there can be.

    Without this a type of nine nodes would fail however its embeddings are spread; from 20 nodes and a width of 20 on
    the full rank of 10 is asked for.
    """
    return min(least, HALF * min(nodes, width))
