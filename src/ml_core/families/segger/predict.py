"""The stage `predictions`: every input transcript with its cell, score and status; and the exports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ml_core.families.segger import export
from ml_core.families.segger.data import FULL, Graph, load_graph, load_tiles, save_arrays
from ml_core.families.segger.fragments import fragments_of
from ml_core.families.segger.pooling import profiles_of
from ml_core.families.segger.samples import Negatives, TileSamples
from ml_core.families.segger.scoring import Scores, best_plausible, score_tiles
from ml_core.families.segger.settings import PredictionsSettings
from ml_core.families.segger.task import SeggerTask
from ml_core.families.segger.train import load_model
from ml_core.families.segger.transcripts import STATUS
from ml_core.running import StageRun
from ml_core.summary import Summary

ASSIGNED, BELOW_CUT, NO_CANDIDATE, FRAGMENT, FILTERED = "assigned", "below_cut", "no_candidate", "fragment", "filtered"


def predict(run: StageRun) -> Summary:
    """Score all kept transcripts, cut, gather fragments, and write one row for each input transcript."""
    settings: PredictionsSettings = run.settings
    source = run.inputs["transcripts"]
    table = pq.read_table(source.path("transcripts.parquet")).to_pandas()
    graph = load_graph(run.inputs["graph"].directory)
    model, description = load_model(run.inputs["model"])
    task = SeggerTask(model, weights={})
    samples, unknown = sample_tiles(run, graph=graph, description=description, view=FULL, folds=settings.folds)
    scores = score_tiles(task, samples, progress=run.progress)
    plausible = settings.assign_by == "plausible"
    tuned = description["plausible_cut" if plausible else "score_cut"]
    cut: float | np.ndarray = tuned if settings.score_cut is None else settings.score_cut
    if settings.gene_cut:
        cell, evidence = choose(graph, scores, column=scores.fit.argmax(axis=1) if plausible else scores.best)
        cut = gene_cuts(graph.gene, evidence, cell=cell, share=description["share_assigned"])
    of_each = np.broadcast_to(cut, len(graph.rows))[scores.transcript]
    column = best_plausible(scores.chance, scores.fit, cut=of_each) if plausible else scores.best
    cell, evidence = choose(graph, scores, column=column)
    kept = (cell >= 0) & (evidence >= cut)
    status = np.where(kept, ASSIGNED, np.where(cell >= 0, BELOW_CUT, NO_CANDIDATE)).astype(object)
    fragment = fragments_of(graph.neighbours, alone=cell < 0, least=settings.min_fragment)
    status[fragment >= 0] = FRAGMENT

    nuclei = pq.read_table(source.path("nuclei.parquet")).to_pandas()
    ids = list(nuclei["cell_id"]) + fragment_ids(fragment, table["transcript_id"].to_numpy()[graph.rows])
    final = np.where(kept, cell, np.where(fragment >= 0, len(nuclei) + fragment, -1))
    everything = _all_rows(
        table, graph=graph, scores=scores, column=column, cell=final, status=status, ids=ids, evidence=evidence
    )
    export.write_segmentation(run.directory / "segmentation.parquet", predictions=everything)
    arrays = {
        "cell": cell.astype(np.int32),
        "evidence": evidence,
        "chance": _full(scores.chance, scores=scores, graph=graph, pad=0.0),
        "fit": _full(scores.fit, scores=scores, graph=graph, pad=-np.inf),
        "kept": kept,
    }
    save_arrays(run.directory / "scores", **arrays)
    cells = cell_table(everything, nuclei=nuclei)
    cells.to_parquet(run.directory / "cells.parquet", index=False)
    _export(run, everything, settings=settings)
    return _summary(table, everything=everything, cells=cells, unknown=unknown, cut=cut, scores=scores)


def sample_tiles(
    run: StageRun, *, graph: Graph, description: dict[str, Any], view: str, folds: int
) -> tuple[TileSamples, list[str]]:
    """All tiles of a sample as a model wants them, and the genes that the model has never seen."""
    place = {gene: token for token, gene in enumerate(description["genes"])}
    mask = len(place)
    tokens = np.array([place.get(gene, mask) for gene in graph.genes])
    tiles = load_tiles(run.inputs["tiles"].directory)
    samples = TileSamples(
        graph,
        tiles=tiles,
        chosen=np.arange(len(tiles)),
        splits=None,
        views={view: 1.0},
        profiles={view: profiles_of(graph, view=view, **description["profiles"])},
        tokens=tokens,
        mask=mask,
        negatives=Negatives(),
        mask_share=1 / folds,
        folds=folds,
    )
    return samples, [gene for gene, token in zip(graph.genes, tokens, strict=True) if token == mask]


def choose(graph: Graph, scores: Scores, *, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nucleus in `column` [judged] of each transcript's candidates and its evidence; [n] each, -1 without one."""
    cell = np.full(len(graph.rows), -1, np.int64)
    evidence = np.full(len(graph.rows), -np.inf, np.float32)
    cell[scores.transcript] = graph.views[FULL].candidates[scores.transcript, column]
    evidence[scores.transcript] = scores.fit[np.arange(len(column)), column]
    return cell, evidence


def gene_cuts(gene: np.ndarray, evidence: np.ndarray, *, cell: np.ndarray, share: float) -> np.ndarray:
    """For each transcript the cut of its gene: the (1 - share) quantile of that gene's evidence, [n]."""
    frame = pd.DataFrame({"gene": gene, "evidence": np.where(cell >= 0, evidence, np.nan)})
    return frame.groupby("gene")["evidence"].transform(lambda values: values.quantile(1 - share)).to_numpy()


def fragment_ids(fragment: np.ndarray, transcript_id: np.ndarray) -> list[str]:
    """fragment-<least transcript id>: the same sample gives the same names, whatever its order."""
    named = pd.Series(transcript_id[fragment >= 0]).groupby(fragment[fragment >= 0]).min()
    return [f"fragment-{least}" for least in named]


def cell_table(predictions: export.Predictions, *, nuclei: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell: id, transcripts, genes, centre and area of its nucleus (empty for fragments)."""
    there = predictions.cell >= 0
    frame = pd.DataFrame({"cell": predictions.cell[there], "gene": predictions.gene[there]})
    counted = (
        frame.groupby("cell")["gene"].agg(["size", "nunique"]).reindex(range(len(predictions.cell_ids)), fill_value=0)
    )
    centre = nuclei[["x_um", "y_um", "area_um2"]].reindex(range(len(counted)))
    return pd.DataFrame(
        {
            "cell_id": pd.array(predictions.cell_ids, dtype="string"),
            "transcripts": counted["size"].to_numpy(),
            "genes": counted["nunique"].to_numpy(),
            "nucleus_x_um": centre["x_um"].to_numpy(),
            "nucleus_y_um": centre["y_um"].to_numpy(),
            "nucleus_area_um2": centre["area_um2"].to_numpy(),
        }
    )


def _all_rows(
    table: pd.DataFrame,
    *,
    graph: Graph,
    scores: Scores,
    column: np.ndarray,
    cell: np.ndarray,
    status: np.ndarray,
    ids: list[str],
    evidence: np.ndarray,
) -> export.Predictions:
    """From the graph's order (kept transcripts) to the input's (all of them)."""
    n = len(table)
    of_row, score, state = np.full(n, -1, np.int64), np.full(n, np.nan, np.float32), np.full(n, FILTERED, object)
    of_row[graph.rows], state[graph.rows] = cell, status
    score[graph.rows[scores.transcript]] = scores.chance[np.arange(len(column)), column]
    strength = np.full(n, np.nan, np.float32)
    strength[graph.rows] = np.where(np.isfinite(evidence), evidence, np.nan)
    return export.Predictions(
        transcript_id=table["transcript_id"].to_numpy(),
        xy=table[["x_um", "y_um"]].to_numpy(),
        gene=table["gene"].to_numpy(),
        genes=list(graph.genes),
        cell=of_row,
        cell_ids=ids,
        score=score,
        evidence=strength,
        status=state.astype(str),
    )


def _full(values: np.ndarray, *, scores: Scores, graph: Graph, pad: float) -> np.ndarray:
    """Values of the judged transcripts as rows of the graph, [n, c]."""
    full = np.full((len(graph.rows), values.shape[1]), pad, np.float32)
    full[scores.transcript] = values
    return full


def _export(run: StageRun, predictions: export.Predictions, *, settings: PredictionsSettings) -> None:
    if settings.polygons in ("geojson", "both"):
        export.write_geojson(run.directory / "cells.geojson", predictions=predictions)
    if settings.polygons in ("geoparquet", "both"):
        export.write_geoparquet(run.directory / "cells.geoparquet", predictions=predictions)
    if settings.anndata:
        export.write_anndata(run.directory / "cells.h5ad", predictions=predictions)
    if settings.xeniumranger:
        export.write_xeniumranger(run.directory / "xeniumranger", predictions=predictions)


def _summary(
    table: pd.DataFrame,
    *,
    everything: export.Predictions,
    cells: pd.DataFrame,
    unknown: list[str],
    cut: float | np.ndarray,
    scores: Scores,
) -> Summary:
    n = len(table)
    states = pd.Series(everything.status).value_counts()
    kept = int(n - states.get(FILTERED, 0))
    assigned = int(states.get(ASSIGNED, 0))
    found = cells[(cells["transcripts"] > 0) & cells["nucleus_area_um2"].notna()]
    filtered = table["status"].map(STATUS).value_counts()
    of_unknown = int(table["feature"].isin(unknown).sum()) if unknown else 0
    summary = Summary(
        headline=f"{assigned:,} of {kept:,} transcripts ({assigned / max(kept, 1):.1%}) are in {len(found):,} cells.",
        numbers={
            "predictions.input_rows": n,
            "predictions.output_rows": len(everything.cell),
            "predictions.share_assigned": assigned / max(kept, 1),
            "predictions.cells": len(found),
            "predictions.fragments": int(cells["nucleus_area_um2"].isna().sum()),
            "predictions.median_transcripts_per_cell": float(found["transcripts"].median()) if len(found) else None,
            "predictions.median_nucleus_area_um2": float(found["nucleus_area_um2"].median()) if len(found) else None,
            "predictions.unknown_genes": len(unknown),
            "predictions.unknown_gene_transcripts": of_unknown,
            "predictions.score_cut": cut if isinstance(cut, float) else "one for each gene",
            **{f"predictions.status.{name}": int(count) for name, count in states.items()},
        },
        tables={
            "Status": [
                {"status": str(name), "transcripts": int(count), "share": count / n} for name, count in states.items()
            ],
            "Filtered": [
                {"reason": str(name), "transcripts": int(count)} for name, count in filtered.items() if name != "kept"
            ],
            "Genes unknown to the model": [{"gene": gene} for gene in unknown],
        },
    )
    same = len(everything.cell) == n and bool((everything.transcript_id == table["transcript_id"].to_numpy()).all())
    summary.check("all_transcripts", same, f"{n:,} rows in, {len(everything.cell):,} out, in the same order.")
    bad = int((~np.isfinite(scores.chance)).sum() + (~np.isfinite(scores.evidence)).sum())
    summary.check("finite_scores", bad == 0, f"{bad:,} scores are not finite.")
    return summary
