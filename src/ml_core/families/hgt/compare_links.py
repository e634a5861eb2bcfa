"""The report's test of links: every judge on every relation, and who wins where."""

from __future__ import annotations

import numpy as np

from ml_core.errors import UserError
from ml_core.families.hgt import evaluate, figures, metapaths
from ml_core.families.hgt.evidence import MODEL, Evidence, Links
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.metrics.ranking import rank_metrics
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

NO_BREAK = "\N{NO-BREAK SPACE}"
CLASSICAL = ("popularity", "distmult")
RIVALS = (*CLASSICAL, "distmult_leaning", "metapaths")
SHOWN = {
    **{method: figures.METHODS[method][0] for method in (MODEL, *RIVALS)},
    "untrained": "untrained",
    "constant": "constant",
}
COMPARED = {"mrr": "filtered MRR", "matched_auroc": "degree-matched AUROC"}


def link_test(run: StageRun, known: Evidence, *, settings: ReportSettings) -> Links:
    """Ask every judge about the test edges of every relation."""
    questions, answers = {}, {}
    for number, relation in enumerate(run.progress(known.graph.relations, what="links")):
        asked = evaluate.ask(
            known.graph,
            known.splits,
            number,
            most=settings.max_test_edges,
            negatives_per_edge=settings.negatives_per_edge,
            seed=settings.seed,
        )
        if asked.in_split:
            questions[relation.name] = asked
            answers[relation.name] = {method: evaluate.answer(judge, asked) for method, judge in known.judges.items()}
    if known.name not in questions:
        raise UserError(
            f"splits: relation '{known.name}' has no test edges to judge the model on; raise splits.test, or name "
            "another relation in report.main_relation."
        )
    return Links(questions, answers)


def metapath_test(known: Evidence, links: Links, *, settings: ReportSettings) -> None:
    """Ask the regression on paths about the main relation too, where its pairs are few enough to be held."""
    if metapaths.feasible(known.graph, known.main, most_pairs=settings.metapath_pairs):
        judge = metapaths.regression(known.graph, known.splits, known.main, seed=settings.seed)
        links.answers[known.name]["metapaths"] = evaluate.answer(judge, links.questions[known.name])


def link_figures(known: Evidence, links: Links, *, summary: Summary, settings: ReportSettings) -> None:
    """test.<relation>.* with intervals, control.<method>.<relation>.*, and of the main relation control.<method>.*."""
    for relation, by_method in links.answers.items():
        for method, answers in by_method.items():
            metrics = evaluate.measure(answers)
            prefix = f"test.{relation}" if method == MODEL else f"control.{method}.{relation}"
            summary.numbers |= {f"{prefix}.{name}": value for name, value in metrics.items()}
            if method != MODEL and relation == known.name:
                summary.numbers |= {f"control.{method}.{name}": value for name, value in metrics.items()}
        drawn = evaluate.intervals(by_method[MODEL], draws=settings.bootstrap_draws, seed=settings.seed)
        for name, (low, high) in drawn.items():
            summary.numbers |= {f"test.{relation}.{name}_low": low, f"test.{relation}.{name}_high": high}
        asked = links.questions[relation]
        summary.numbers |= {f"test.{relation}.edges": asked.in_split, f"test.{relation}.asked": len(asked.rows)}
    of = known.graph.relations[known.main]
    for place, end in enumerate((of.tail, of.head) if of.head != of.tail else ("tail", "head")):
        for method, answers in links.answers[known.name].items():
            prefix = "test." if method == MODEL else f"control.{method}."
            one_side = rank_metrics(answers.ranks[:, place])
            summary.numbers |= {f"{prefix}{known.name}.{name}_of_{end}": one_side[name] for name in ("mrr", "hits10")}
    summary.numbers["test.main_relation"] = known.name
    ours = [by_method[MODEL] for by_method in links.answers.values()]
    drawn = evaluate.intervals_over_relations(ours, draws=settings.bootstrap_draws, seed=settings.seed)
    for name, (low, high) in drawn.items():
        prefix = f"test.mean_over_relations.{name}"
        summary.numbers |= {f"{prefix}_low": low, f"{prefix}_high": high}
    for method in known.judges:
        means = [evaluate.measure(by_method[method]) for by_method in links.answers.values()]
        prefix = "test" if method == MODEL else f"control.{method}"
        summary.numbers |= {
            f"{prefix}.mean_over_relations.{name}": float(np.mean([each[name] for each in means]))
            for name in ("mrr", "hits10", "auroc", "matched_auroc")
        }


def compare(known: Evidence, links: Links, *, summary: Summary, settings: ReportSettings) -> None:
    """Who wins, relation by relation, in filtered MRR and degree-matched AUROC; a row for each."""
    enough = links.compared(settings)
    shown = {method: label for method, label in SHOWN.items() if any(method in each for each in links.answers.values())}
    lost, lost_to_classical = 0, 0
    for metric, title in COMPARED.items():
        rows: list[dict[str, Number]] = []
        for relation, by_method in sorted(links.answers.items(), key=lambda item: -links.questions[item[0]].in_split):
            numbers = {method: evaluate.measure(answers)[metric] for method, answers in by_method.items()}
            present = [rival for rival in RIVALS if rival in numbers]
            strongest = max(present, key=lambda rival: np.nan_to_num(numbers[rival], nan=-1))
            gain = evaluate.gains(
                by_method[MODEL], by_method[strongest], draws=settings.bootstrap_draws, seed=settings.seed
            )[metric]
            wins = numbers[MODEL] > numbers[strongest]
            lost += relation in enough and not wins
            classical = any(not numbers[MODEL] > numbers[rival] for rival in CLASSICAL)
            lost_to_classical += relation in enough and classical
            rows.append(
                {
                    "relation": relation,
                    "edges": links.questions[relation].in_split,
                    **{label: _rounded(numbers.get(method)) for method, label in shown.items()},
                    "wins": figures.METHODS[MODEL if wins else strongest][0],
                    "gain, 95 %": f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})".replace(" ", NO_BREAK),
                    "counts": relation in enough,
                }
            )
        summary.tables[title] = rows
    summary.numbers |= {"compared.relations": len(enough), "compared.comparisons_lost": lost}
    summary.numbers["compared.comparisons_lost_to_classical"] = lost_to_classical


def _rounded(value: float | None) -> Number:
    """Nothing where a method was not asked about the relation."""
    return None if value is None else round(value, 3)
