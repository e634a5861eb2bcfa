"""The stage `report`: ask every judge the same questions, measure the shape, decide the verdict, write the page."""

from __future__ import annotations

import dataclasses

from ml_core.families.hgt import evaluate, pages
from ml_core.families.hgt.compare_links import compare, link_figures, link_test, metapath_test
from ml_core.families.hgt.controls import load_controls
from ml_core.families.hgt.data import load_graph, load_splits
from ml_core.families.hgt.drawing import draw
from ml_core.families.hgt.embedding_arrays import load_arrays
from ml_core.families.hgt.evidence import MODEL, Evidence
from ml_core.families.hgt.geometry import shapes
from ml_core.families.hgt.judge_shape import decide, decide_checks, shape_figures, verdict_figures
from ml_core.families.hgt.judges import Judge, PopularityJudge
from ml_core.families.hgt.practice import beside, classifier_test, curated_test
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.report import write_report
from ml_core.running import StageRun
from ml_core.summary import Summary


def build(run: StageRun) -> Summary:
    """Links, shape, verdict, curated pairs, classifier, figures, page."""
    settings: ReportSettings = run.settings
    summary = Summary()
    for stage in ("graph", "splits", "model", "embeddings", "controls"):
        summary.numbers |= run.inputs[stage].summary.numbers
    summary.numbers["split.kind"] = run.inputs["splits"].manifest["settings"]["kind"]
    known = gather_evidence(run)
    links = link_test(run, known, settings=settings)
    metapath_test(known, links, settings=settings)
    link_figures(known, links, summary=summary, settings=settings)
    compare(known, links, summary=summary, settings=settings)
    found = {name: shapes(known.graph, judge.embeddings) for name, judge in known.shaped.items()}
    shape_figures(found, summary=summary)
    decided = decide(known, links, found, settings=settings)
    verdict_figures(decided, summary=summary)
    curated = curated_test(known, links, summary=summary, settings=settings)
    classifier_test(known, curated, summary=summary, settings=settings)
    beside(settings, summary=summary, name=known.name)
    draw(run, known, links, found=found, decided=decided, curated=curated, summary=summary)
    decide_checks(decided, summary=summary)
    page = pages.page(summary, main=known.name, settings=settings, provenance=pages.provenance(run))
    summary.headline = page.headline
    write_report(page, run.directory)
    return summary


def gather_evidence(run: StageRun) -> Evidence:
    """The graph, its splits, the model's embeddings, and everything that they are held against."""
    settings: ReportSettings = run.settings
    graph, splits = load_graph(run.inputs["graph"].directory), load_splits(run.inputs["splits"].directory)
    ours = load_arrays(run.inputs["embeddings"].directory)
    judges: dict[str, Judge] = {MODEL: ours.judge(graph)}
    judges["popularity"] = PopularityJudge(graph, splits)
    judges["global_popularity"] = PopularityJudge(graph, splits, everywhere=True)
    for name, control in load_controls(run.inputs["controls"].directory).items():
        judge = control.judge(graph)
        judges[name] = dataclasses.replace(judge, leaning=None)
        if judge.leaning is not None:
            judges[f"{name}_leaning"] = judge
    return Evidence(graph, splits, judges, evaluate.main_relation(graph, settings.main_relation))
