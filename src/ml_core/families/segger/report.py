"""The stage `report`: run the four tests, decide the checks, write the page."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ml_core.families.segger import evaluate, figures, pages
from ml_core.families.segger.biology import type_means
from ml_core.families.segger.data import FULL, SPLITS, Graph, Splits, load_graph, load_splits
from ml_core.families.segger.evaluate import MODEL, PLAUSIBLE, RIVALS, Assignment, PlausibleAssignment, Ring
from ml_core.families.segger.pooling import profiles_of
from ml_core.families.segger.predict import sample_tiles
from ml_core.families.segger.scoring import score_tiles
from ml_core.families.segger.settings import ReportSettings
from ml_core.families.segger.task import SeggerTask
from ml_core.families.segger.train import load_model
from ml_core.report import write_report
from ml_core.running import StageRun
from ml_core.summary import Summary

AT = 0.95  # the share assigned at which methods are compared
FOLDS = 3
JUDGED_BY = ("vendor_nucleus", "true_nucleus", "true_cell")  # columns of transcripts.parquet; the latter if simulated
CALIBRATED = 0.05  # greatest expected calibration error


@dataclass(frozen=True)
class Evidence:
    """What the report rests on: the sample, what every method assigns, and the model's own doings."""

    graph: Graph
    splits: Splits
    transcripts: pd.DataFrame  # kept ones, in the graph's order
    assignments: dict[str, Assignment]
    chance: np.ndarray
    kept: np.ndarray  # bool: assigned after the cut


def build(run: StageRun) -> Summary:
    """Four tests, figures, checks, page."""
    settings: ReportSettings = run.settings
    known = gather_evidence(run)
    summary = Summary()
    for stage in ("transcripts", "graph", "tiles", "splits", "model", "predictions"):
        summary.numbers |= run.inputs[stage].summary.numbers
    for title in ("Filtered", "Genes unknown to the model"):
        summary.tables[title] = run.inputs["predictions"].summary.tables.get(title, [])
    for stage, title, name in (("model", "Training", "curves.png"), ("splits", "Blocks and splits", "splits.png")):
        _copy_figure(run, stage=stage, title=title, name=name, summary=summary)
    ring = ring_test(run, known, summary=summary, settings=settings)
    biology = biology_test(run, known, summary=summary, settings=settings)
    truth_test(known, summary=summary, settings=settings)
    agreement_test(known, summary=summary)
    _draw(run, known, ring=ring, summary=summary, settings=settings)
    decide(summary)
    page = pages.page(summary, curves=biology, provenance=pages.provenance(run))
    summary.headline = page.headline
    write_report(page, run.directory)
    return summary


def gather_evidence(run: StageRun) -> Evidence:
    """Load the sample and put every method's assignment side by side."""
    graph, splits = load_graph(run.inputs["graph"].directory), load_splits(run.inputs["splits"].directory)
    path = run.inputs["transcripts"].path("transcripts.parquet")
    columns = [name for name in JUDGED_BY if name in pq.read_schema(path).names]
    table = pq.read_table(path, columns=columns).to_pandas().iloc[np.asarray(graph.rows)]
    scores = run.inputs["predictions"].directory / "scores"
    cell, evidence, chance, fit, after_cut = (
        np.load(scores / f"{name}.npy", mmap_mode="r") for name in ("cell", "evidence", "chance", "fit", "kept")
    )
    candidates = graph.views[FULL].candidates
    if run.inputs["predictions"].manifest["settings"]["assign_by"] == "plausible":
        ours = {MODEL: PlausibleAssignment(cell, fit.max(axis=1), candidates, chance, fit)}
    else:
        ours = {MODEL: Assignment(cell, evidence), PLAUSIBLE: PlausibleAssignment.of(candidates, chance, fit)}
    with TemporaryDirectory(dir=run.directory, prefix="profiles-") as folder:
        profiles = evaluate.smoothed_profiles(graph, FULL, directory=Path(folder))
        methods = {**ours, **evaluate.baseline_assignments(graph, FULL, profiles=profiles)}
        del profiles
    nuclear = np.asarray(graph.nucleus) >= 0
    likelihood = methods["likelihood"]
    kept = np.where(nuclear, graph.nucleus, likelihood.cell)
    methods["likelihood_nuclear_kept"] = Assignment(kept, np.where(nuclear, np.inf, likelihood.score))
    methods["nearest_polygon_our_cut"] = Assignment(
        methods["nearest_polygon"].cell, _evidence_of(known=methods, graph=graph, run=run)
    )
    vendor = table["vendor_nucleus"].to_numpy().astype(np.int32)
    methods["vendor"] = Assignment(vendor, np.zeros(len(vendor), np.float32))
    return Evidence(graph, splits, table, methods, chance, after_cut)


def ring_test(run: StageRun, known: Evidence, *, summary: Summary, settings: ReportSettings) -> Ring:
    """Score the shrunken view that training never saw; metrics on the test blocks and on the whole sample."""
    model, description = load_model(run.inputs["model"])
    view = description["test_view"]
    with TemporaryDirectory(dir=run.directory, prefix="profiles-") as folder:
        how = {"graph": known.graph, "description": description, "view": view, "folds": FOLDS}
        samples, _ = sample_tiles(run, **how, directory=Path(folder))
        held_out = known.graph.held_out(view)
        scores = score_tiles(SeggerTask(model, weights={}), samples, only=held_out, progress=run.progress)
        del samples
    with TemporaryDirectory(dir=run.directory, prefix="profiles-") as folder:
        profiles = evaluate.smoothed_profiles(known.graph, view, directory=Path(folder))
        whole = evaluate.ring_of(known.graph, view=view, scores=scores, profiles=profiles)
        del profiles
    parts = {split: whole.of(evaluate.in_split(known.splits, whole.rows, split)) for split in SPLITS}
    test = parts["test"]
    rows: list[dict[str, Any]] = []
    for place, ring in (("", test), ("whole.", whole)):
        for method, metrics in ring.metrics().items():
            prefix = "ring." if method == MODEL else f"baseline.{method}.ring."
            summary.numbers |= {f"{prefix}{place}{name}": value for name, value in metrics.items()}
            where = "whole sample" if place else "test blocks"
            rows.append({"transcripts of": where, "method": figures.METHODS[method][0], **_ring_row(metrics)})
    summary.tables["Ring test"] = rows
    summary.numbers["ring.f1"] = evaluate.f1_at_validation_threshold(test, parts["validation"])
    for rival in RIVALS:
        gain = evaluate.top1_interval(test, method=MODEL, against=rival, draws=settings.bootstrap_draws)
        summary.numbers |= evaluate.gain_numbers("ring.top1", rival, gain)
    low, high = evaluate.top1_interval(test, method=MODEL, draws=settings.bootstrap_draws)
    summary.numbers |= {"ring.top1_low": low, "ring.top1_high": high}
    return test


def biology_test(
    run: StageRun, known: Evidence, *, summary: Summary, settings: ReportSettings
) -> dict[str, list[dict[str, float]]]:
    """MECR and contamination over the share assigned; nothing where the sample came without a reference."""
    path = run.inputs["transcripts"].directory / "reference.parquet"
    if not path.exists():
        return {}
    judge = evaluate.judge_of(known.graph, type_means(path, known.graph.genes), block_um=settings.block_um)
    summary.numbers |= {
        "biology.marker_genes": int(judge.markers.marker.sum()),
        "biology.pairs": len(judge.markers.first),
        "biology.confident_cells": int((judge.cell_type >= 0).sum()),
    }
    if not len(judge.markers.first):
        return {}
    held_out = np.asarray(known.splits.nucleus) == SPLITS.index("test")
    curves = {}
    for method, assignment in known.assignments.items():
        prefix = f"{evaluate.prefix_of(method)}biology."
        curves[method] = evaluate.biology_curve(
            judge, assignment, shares=settings.shares, draws=settings.bootstrap_draws
        )
        if method == "vendor":
            last = curves[method] = curves[method][-1:]
            summary.numbers |= {f"{prefix}{name}": last[0][name] for name in ("mecr", "contamination", "share")}
            continue
        at = evaluate.biology_at(judge, assignment, AT)
        out = evaluate.biology_at(judge, assignment, AT, of=held_out)
        summary.numbers |= {f"{prefix}{name}_at_95": value for name, value in at.items()}
        summary.numbers |= {f"{prefix}held_out.{name}_at_95": value for name, value in out.items()}
        for row in curves[method] if method == MODEL else []:
            if row["share"] == AT:
                ends = [f"{name}_{end}" for name in at for end in ("low", "high")]
                summary.numbers |= {f"biology.{end.replace('_', '_at_95_')}": row[end] for end in ends}
    for rival in RIVALS:
        ours, theirs = known.assignments[MODEL], known.assignments[rival]
        gains = evaluate.gain_interval(judge, ours, theirs, share=AT, draws=settings.bootstrap_draws)
        for name, gain in gains.items():
            summary.numbers |= evaluate.gain_numbers(f"biology.{name}_at_95", rival, gain)
    figures.biology_curves(curves, run.directory / "figures" / "biology.png")
    summary.figures["Biology over the share assigned"] = "figures/biology.png"
    return curves


def truth_test(known: Evidence, *, summary: Summary, settings: ReportSettings) -> None:
    """Simulated samples only: accuracy and F1, on the test blocks; of plausible nuclei at the share compared at."""
    if "true_cell" not in known.transcripts:
        return
    rows = np.asarray(known.splits.transcript) == SPLITS.index("test")
    truth = known.transcripts["true_nucleus"].to_numpy()
    true_cell = known.transcripts["true_cell"].to_numpy()
    for method, assignment in known.assignments.items():
        prefix = f"{evaluate.prefix_of(method)}truth."
        cell = assignment.at_share(AT) if method == PLAUSIBLE else assignment.cell
        for place, chosen in (("", rows), ("whole.", np.ones(len(rows), bool))):
            numbers = evaluate.truth_numbers(cell[chosen], truth=truth[chosen], true_cell=true_cell[chosen])
            summary.numbers |= {f"{prefix}{place}{name}": value for name, value in numbers.items()}
    ours = known.assignments[MODEL]
    for rival in RIVALS:
        gain = evaluate.accuracy_gain(
            ours.cell[rows],
            known.assignments[rival].cell[rows],
            truth=truth[rows],
            xy=np.asarray(known.graph.xy)[rows],
            block_um=settings.block_um,
            draws=settings.bootstrap_draws,
        )
        summary.numbers |= evaluate.gain_numbers("truth.transcript_accuracy", rival, gain)
    after_cut = np.where(known.kept, ours.cell, -1)[rows]
    numbers = evaluate.truth_numbers(after_cut, truth=truth[rows], true_cell=true_cell[rows])
    summary.numbers |= {f"truth.after_cut.{name}": value for name, value in numbers.items()}


def agreement_test(known: Evidence, *, summary: Summary) -> None:
    """How often the vendor says the same: agreement, not accuracy."""
    vendor = known.assignments["vendor"].cell
    nuclear = np.asarray(known.graph.nucleus) >= 0
    for method in (MODEL, "nearest_polygon", "likelihood"):
        prefix = "agreement." if method == MODEL else f"baseline.{method}.agreement."
        values = evaluate.agreement(known.assignments[method], vendor=vendor, nuclear=nuclear)
        summary.numbers |= {f"{prefix}{name}": value for name, value in values.items()}


def decide(summary: Summary) -> None:
    """The three warning checks, each with the figures that decide it."""
    numbers = summary.numbers

    def value(name: str) -> float:
        found = numbers.get(name)
        return float("nan") if found is None else float(found)

    pairs = [(value(f"ring.{name}"), value(f"baseline.nearest_polygon.ring.{name}")) for name in ("top1", "auroc")]
    summary.check(
        "ring_baseline_beaten",
        all(ours >= theirs for ours, theirs in pairs),
        f"top-1 {pairs[0][0]:.4f} against {pairs[0][1]:.4f}, AUROC {pairs[1][0]:.4f} against {pairs[1][1]:.4f} "
        "(nearest nucleus).",
    )
    rivals = ("nearest_polygon", "likelihood")
    beaten, said = True, []
    for name in ("mecr", "contamination"):
        ours, theirs = value(f"biology.{name}_at_95"), {r: value(f"baseline.{r}.biology.{name}_at_95") for r in rivals}
        beaten &= all(ours <= their for their in theirs.values() if np.isfinite(their)) or not np.isfinite(ours)
        said.append(
            f"{name} {ours:.4f} against "
            + ", ".join(f"{their:.4f} ({figures.METHODS[r][0]})" for r, their in theirs.items())
        )
    judged = np.isfinite(value("biology.mecr_at_95"))
    summary.check("biology_baseline_beaten", beaten, "; ".join(said) + "." if judged else "no reference, not judged.")
    error = value("ring.calibration_error")
    summary.check(
        "calibrated", not error > CALIBRATED, f"expected calibration error {error:.3f}, at most {CALIBRATED} is good."
    )


def _draw(run: StageRun, known: Evidence, *, ring: Ring, summary: Summary, settings: ReportSettings) -> None:
    folder = run.directory / "figures"
    if len(ring.rows):
        table, error = evaluate.calibration(ring)
        summary.numbers["ring.calibration_error"] = error
        figures.calibration_curve(table, folder / "calibration.png", error=error)
        summary.figures["Calibration"] = "figures/calibration.png"
    ours, nearest = known.assignments[MODEL], known.assignments["nearest_polygon"]
    there = ours.cell >= 0
    chance = known.chance.max(axis=1)[there]
    figures.score_histograms(chance, ours.score[there], folder / "scores.png", kept=known.kept[there])
    summary.figures["Scores"] = "figures/scores.png"
    xy = np.asarray(known.graph.xy)
    assigned = np.where(known.kept, ours.cell, -1)
    differs = (assigned >= 0) & (assigned != nearest.cell)
    held_out = np.asarray(known.splits.transcript) == SPLITS.index("test")
    corner = figures.window_around(xy, differs & held_out, side_um=settings.window_um)
    figures.window_map(
        xy,
        folder / "map.png",
        corner=corner,
        side_um=settings.window_um,
        nuclei=known.graph.views[FULL].polygons,
        assigned=assigned,
        nearest=nearest.cell,
    )
    summary.figures["Map of a window"] = "figures/map.png"


def _evidence_of(*, known: dict[str, Assignment], graph: Graph, run: StageRun) -> np.ndarray:
    """Our cut's score for the nearest nucleus: shows how much of a gain is the cut's alone."""
    description = json.loads(run.inputs["model"].path("model.json").read_text())
    found = np.empty(len(graph.rows), np.float32)
    with TemporaryDirectory(dir=run.directory, prefix="profiles-") as folder:
        profiles = profiles_of(graph, view=FULL, **description["profiles"], directory=Path(folder))
        for rows in evaluate.pieces_of(len(found)):
            cell, gene = known["nearest_polygon"].cell[rows], np.asarray(graph.gene[rows])
            ratio = profiles.ratio_of(gene, cell[:, None], counted_in=np.asarray(graph.nucleus[rows]))
            found[rows] = np.where(cell >= 0, ratio[:, 0] - profiles.best_ratio[gene], -np.inf)
        del profiles
    return found


def _copy_figure(run: StageRun, *, stage: str, title: str, name: str, summary: Summary) -> None:
    source = run.inputs[stage].directory / "figures" / name
    if source.exists():
        (run.directory / "figures").mkdir(exist_ok=True)
        shutil.copyfile(source, run.directory / "figures" / name)
        summary.figures[title] = f"figures/{name}"


def _ring_row(metrics: dict[str, float]) -> dict[str, float | int]:
    return {
        "top-1": metrics["top1"],
        "AUROC": metrics["auroc"],
        "AP": metrics["average_precision"],
        "transcripts": int(metrics["transcripts"]),
    }
