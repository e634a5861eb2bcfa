"""The report's test of shape, and the verdict on the model and on the controls by the same rules."""

from __future__ import annotations

from ml_core.families.hgt import evaluate, figures, verdict
from ml_core.families.hgt.evidence import MODEL, Evidence, Links
from ml_core.families.hgt.geometry import Shapes
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.families.hgt.verdict import Verdict
from ml_core.summary import Summary

SHOWN = 3  # reasons in a table


def shape_figures(found: dict[str, Shapes], *, summary: Summary) -> None:
    """geometry.<type>.* of the model, control.<method>.geometry.<type>.* of the others, and cosines between types."""
    for method, shape in found.items():
        prefix = "" if method == MODEL else f"control.{method}."
        for node_type, values in shape.by_type.items():
            for name in ("effective_rank", "pca90", "pca95", "within_cosine"):
                summary.numbers[f"{prefix}geometry.{node_type}.{name}"] = getattr(values, name)
        summary.numbers[f"{prefix}geometry.mean_cosine"] = shape.mean_cosine
    ours = found[MODEL]
    types = list(ours.by_type)
    summary.tables["Mean cosine between types"] = [
        {
            "type": first,
            **{
                second: ours.by_type[first].within_cosine
                if first == second
                else ours.between.get((first, second), ours.between.get((second, first)))
                for second in types
            },
        }
        for first in types
    ]


def decide(known: Evidence, links: Links, found: dict[str, Shapes], *, settings: ReportSettings) -> dict[str, Verdict]:
    """The verdict on the model, and on the controls by the same rules."""
    decided = {}
    for method, shape in found.items():
        against = [(by_method[method], by_method["untrained"]) for by_method in links.answers.values()]
        gain = evaluate.gain_over_relations(against, draws=settings.bootstrap_draws, seed=settings.seed)
        width = known.shaped[method].embeddings.shape[1]
        decided[method] = verdict.decide(shape, gain, width=width, settings=settings)
    return decided


def verdict_figures(decided: dict[str, Verdict], *, summary: Summary) -> None:
    """verdict, verdict.<type>, and those of the controls, which must fail."""
    for method, found in decided.items():
        prefix = "" if method == MODEL else f"control.{method}."
        summary.numbers[f"{prefix}verdict"] = found.word
        summary.numbers[f"{prefix}verdict.links"] = found.links_beaten
        summary.numbers |= {f"{prefix}verdict.{each.node_type}": each.word for each in found.types}
    summary.tables["Verdict"] = [
        {
            "embeddings": figures.METHODS[method][0],
            "verdict": found.word,
            "types that fail": f"{sum(each.word == 'fail' for each in found.types)} of {len(found.types)}",
            "better links than the untrained network": found.links_beaten,
            "why": _some(found.reasons) or "nothing found",
        }
        for method, found in decided.items()
    ]


def _some(reasons: tuple[str, ...]) -> str:
    more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    return "; ".join(reasons[:SHOWN]) + more


def decide_checks(decided: dict[str, Verdict], *, summary: Summary) -> None:
    """The verdict blocks; high cosines, better baselines and controls that pass warn."""
    ours = decided[MODEL]
    passed = "every type is spread out, and links are better than the untrained network's"
    summary.check("verdict", ours.word != "fail", "; ".join(ours.reasons) if ours.word == "fail" else passed)
    warned = [reason for each in ours.types if each.word == "warn" for reason in each.reasons]
    summary.check("well_spread", not warned, "; ".join(warned) or "no type's mean cosine is high")
    lost = summary.numbers["compared.comparisons_lost"]
    asked = 2 * int(summary.numbers["compared.relations"] or 0)
    summary.check(
        "baselines_beaten", not lost, f"popularity or DistMult (plain or leaning) wins {lost} of {asked} comparisons"
    )
    words = {name: decided[name].word for name in ("constant", "untrained") if name in decided}
    proved = all(word == "fail" for word in words.values())
    said = ", ".join(f"{figures.METHODS[name][0]}: {word}" for name, word in words.items())
    summary.check("verdict_can_fail", proved, said or "no control was asked for")
