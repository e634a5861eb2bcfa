"""Which figures the report has, and what each is drawn from."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from ml_core.families.hgt import figures
from ml_core.families.hgt.curated import Curated
from ml_core.families.hgt.evidence import MODEL, Evidence, Links
from ml_core.families.hgt.geometry import Shapes
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.families.hgt.verdict import Verdict
from ml_core.metrics.embedding import sampled_cosines, variances
from ml_core.running import StageRun
from ml_core.summary import Summary

COSINE_PAIRS = 20_000  # behind each histogram


def draw(
    run: StageRun,
    known: Evidence,
    links: Links,
    *,
    found: dict[str, Shapes],
    decided: dict[str, Verdict],
    curated: Curated | None,
    summary: Summary,
) -> None:
    """All figures of the page."""
    settings: ReportSettings = run.settings
    folder = run.directory / "figures"
    for title, name in (("Training", "curves.png"), ("Collapse monitor", "collapse.png")):
        source = run.inputs["model"].directory / "figures" / name
        if source.exists():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / name)
            summary.figures[title] = f"figures/{name}"
    _draw_relations(known, links, summary=summary, run=run)
    judge = known.judges[MODEL]
    scores = judge.factors(known.main).of_pairs(curated.rows, curated.columns) if curated else None
    figures.ranks_and_scores(
        links.answers[known.name], folder / "ranks_and_scores.png", name=known.name, curated=scores
    )
    summary.figures["Ranks and scores"] = "figures/ranks_and_scores.png"
    figures.shapes_panel(
        _by_type(found, "effective_rank"),
        _by_type(found, "within_cosine"),
        folder / "shape.png",
        asked={each.node_type: each.asked_rank for each in decided[MODEL].types},
        fail_above=settings.max_within_cosine,
        warn_above=settings.warn_within_cosine,
    )
    summary.figures["Shape"] = "figures/shape.png"
    _draw_embeddings(known, summary=summary, run=run)


def _draw_relations(known: Evidence, links: Links, *, summary: Summary, run: StageRun) -> None:
    panels: dict[str, dict[str, dict[str, float]]] = {}
    drawn: dict[str, dict[str, tuple[float, float]]] = {}
    order = sorted(links.answers, key=lambda name: (name != known.name, -links.questions[name].in_split))
    for metric, title in (("mrr", "Filtered MRR"), ("matched_auroc", "Degree-matched AUROC")):
        panels[title] = {
            method: {
                name: _number(
                    summary, f"test.{name}.{metric}" if method == MODEL else f"control.{method}.{name}.{metric}"
                )
                for name in order
            }
            for method in known.judges
        }
        drawn[title] = {
            name: (
                _number(summary, f"test.{name}.{metric}_low"),
                _number(summary, f"test.{name}.{metric}_high"),
            )
            for name in order
        }
    figures.relations_panel(panels, drawn, run.directory / "figures" / "relations.png")
    summary.figures["Every relation"] = "figures/relations.png"


def _draw_embeddings(known: Evidence, *, summary: Summary, run: StageRun) -> None:
    settings: ReportSettings = run.settings
    judge = known.shaped[MODEL]
    rng = np.random.default_rng(settings.seed)
    spectra, cosines, rows, of_type = {}, {}, [], []
    types = [name for name in known.graph.node_types if len(known.graph.nodes_of(name))]
    for number, name in enumerate(types):
        nodes = known.graph.nodes_of(name)
        part = np.asarray(judge.embeddings[nodes.start : nodes.stop])
        spectra[name] = variances(part)
        cosines[name] = sampled_cosines(part, pairs=COSINE_PAIRS, seed=settings.seed)
        chosen = rng.choice(len(part), min(settings.shown_nodes, len(part)), replace=False)
        rows.append(part[chosen].astype(np.float64))
        of_type += [number] * len(chosen)
    sample = np.concatenate(rows)
    sample -= sample.mean(axis=0)
    _, singular, axes = np.linalg.svd(sample, full_matrices=False)
    shares = singular**2 / max(float((singular**2).sum()), 1e-300)
    folder = run.directory / "figures"
    figures.pca_map(
        sample @ axes[:2].T,
        np.array(of_type),
        folder / "pca.png",
        types=types,
        shares=shares[:2],
        most=settings.shown_nodes,
    )
    figures.distributions(spectra, cosines, folder / "distributions.png")
    summary.figures["PCA by type"] = "figures/pca.png"
    summary.figures["Distributions"] = "figures/distributions.png"


def _by_type(found: dict[str, Shapes], name: str) -> dict[str, dict[str, float]]:
    return {
        method: {node_type: float(getattr(values, name)) for node_type, values in shape.by_type.items()}
        for method, shape in found.items()
    }


def _number(summary: Summary, name: str) -> float:
    value: Any = summary.numbers.get(name)
    return float("nan") if value is None else float(value)
