"""The stage `predictions`: every input transcript with its cell, score and status; and the exports."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ml_core.families.segger import export
from ml_core.families.segger.assign import choose_all, cuts_of_genes, deal_out
from ml_core.families.segger.data import FULL, Graph, load_graph, load_tiles
from ml_core.families.segger.fragments import fragments_of
from ml_core.families.segger.pooling import profiles_of
from ml_core.families.segger.results import (
    ASSIGNED,
    FILTERED,
    Results,
    count_features,
    count_statuses,
    identifiers_of,
    same_identifiers,
)
from ml_core.families.segger.samples import Negatives, TileSamples
from ml_core.families.segger.scoring import save_scores, score_batches
from ml_core.families.segger.settings import PredictionsSettings
from ml_core.families.segger.task import SeggerTask
from ml_core.families.segger.train import load_model
from ml_core.families.segger.transcripts import KEPT, STATUS
from ml_core.running import StageRun
from ml_core.summary import Summary


def predict(run: StageRun) -> Summary:
    """Score all kept transcripts, cut, gather fragments, and write one row for each input transcript.

    Nothing of every transcript is held but a flag and a fragment's number: scores are written as the tiles come, and
    from there on everything is done for some rows of the graph, a row group of the input, or some cells at a time.
    """
    settings: PredictionsSettings = run.settings
    table = run.inputs["transcripts"].path("transcripts.parquet")
    graph, scores = load_graph(run.inputs["graph"].directory), run.directory / "scores"
    at_once = settings.chunk_transcripts
    model, description = load_model(run.inputs["model"])
    with TemporaryDirectory(dir=run.directory, prefix="profiles-") as folder:
        samples, unknown = sample_tiles(
            run, graph=graph, description=description, view=FULL, folds=settings.folds, directory=Path(folder)
        )
        batches = score_batches(SeggerTask(model, weights={}), samples, progress=run.progress)
        bad = save_scores(scores, batches, shape=graph.views[FULL].candidates.shape, between=samples.release)
        del samples, batches

    plausible = settings.assign_by == "plausible"
    tuned = description["plausible_cut" if plausible else "score_cut"]
    cut: float | np.ndarray = tuned if settings.score_cut is None else settings.score_cut
    if settings.gene_cut:
        cut = cuts_of_genes(graph, scores, plausible=plausible, share=description["share_assigned"], at_once=at_once)
    nuclei = pq.read_table(run.inputs["transcripts"].path("nuclei.parquet")).to_pandas()
    with TemporaryDirectory(dir=run.directory, prefix="results-") as folder:
        scratch = Path(folder)
        alone = choose_all(graph, scores, scratch=scratch, cut=cut, plausible=plausible, at_once=at_once)
        fragment = fragments_of(graph.neighbours, alone=alone, least=settings.min_fragment, at_once=at_once)
        members = np.flatnonzero(fragment >= 0)
        ids = fragment_ids(fragment[members], identifiers_of(table, graph.rows[members]))
        ids = [*nuclei["cell_id"], *ids]
        results = deal_out(
            graph,
            scores,
            scratch=scratch,
            table=table,
            fragment=fragment,
            cell_ids=ids,
            nuclei=len(nuclei),
            at_once=at_once,
        )
        export.write_segmentation(run.directory / "segmentation.parquet", predictions=results)
        cells = export.write_cells(run.directory / "cells.parquet", predictions=results, nuclei=nuclei)
        _export(run, results, settings=settings)
    return _summary(run, table=table, states=results.states, cells=cells, unknown=unknown, cut=cut, bad=bad)


def sample_tiles(
    run: StageRun,
    *,
    graph: Graph,
    description: dict[str, Any],
    view: str,
    folds: int,
    directory: Path | None = None,
) -> tuple[TileSamples, list[str]]:
    """All tiles of a sample as a model wants them, and the genes that the model has never seen.

    directory: where the profiles are kept, instead of in memory.
    """
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
        profiles={view: profiles_of(graph, view=view, **description["profiles"], directory=directory)},
        tokens=tokens,
        mask=mask,
        negatives=Negatives(),
        mask_share=1 / folds,
        folds=folds,
    )
    return samples, [gene for gene, token in zip(graph.genes, tokens, strict=True) if token == mask]


def fragment_ids(fragment: np.ndarray, transcript_id: np.ndarray) -> list[str]:
    """fragment-<least transcript id>: the same sample gives the same names, whatever its order."""
    named = pd.Series(transcript_id[fragment >= 0]).groupby(fragment[fragment >= 0]).min()
    return [f"fragment-{least}" for least in named]


def _export(run: StageRun, predictions: Results, *, settings: PredictionsSettings) -> None:
    if settings.polygons in ("geojson", "both"):
        export.write_geojson(run.directory / "cells.geojson", predictions=predictions)
    if settings.polygons in ("geoparquet", "both"):
        export.write_geoparquet(run.directory / "cells.geoparquet", predictions=predictions)
    if settings.anndata:
        export.write_anndata(run.directory / "cells.h5ad", predictions=predictions)
    if settings.xeniumranger:
        export.write_xeniumranger(run.directory / "xeniumranger", predictions=predictions)


def _summary(
    run: StageRun,
    *,
    table: Path,
    states: dict[str, int],
    cells: pd.DataFrame,
    unknown: list[str],
    cut: float | np.ndarray,
    bad: int,
) -> Summary:
    segmentation = run.directory / "segmentation.parquet"
    n, written = (pq.read_metadata(path).num_rows for path in (table, segmentation))
    kept, assigned = n - states.get(FILTERED, 0), states.get(ASSIGNED, 0)
    found = cells[(cells["transcripts"] > 0) & cells["nucleus_area_um2"].notna()]
    filtered = [
        {"reason": STATUS[code], "transcripts": int(count)}
        for code, count in enumerate(count_statuses(table))
        if count and code != KEPT
    ]
    summary = Summary(
        headline=f"{assigned:,} of {kept:,} transcripts ({assigned / max(kept, 1):.1%}) are in {len(found):,} cells.",
        numbers={
            "predictions.input_rows": n,
            "predictions.output_rows": written,
            "predictions.share_assigned": assigned / max(kept, 1),
            "predictions.cells": len(found),
            "predictions.fragments": int(cells["nucleus_area_um2"].isna().sum()),
            "predictions.median_transcripts_per_cell": float(found["transcripts"].median()) if len(found) else None,
            "predictions.median_nucleus_area_um2": float(found["nucleus_area_um2"].median()) if len(found) else None,
            "predictions.unknown_genes": len(unknown),
            "predictions.unknown_gene_transcripts": count_features(table, unknown) if unknown else 0,
            "predictions.score_cut": cut if isinstance(cut, float) else "one for each gene",
            **{f"predictions.status.{name}": count for name, count in states.items()},
        },
        tables={
            "Status": [{"status": name, "transcripts": count, "share": count / n} for name, count in states.items()],
            "Filtered": sorted(filtered, key=lambda row: -row["transcripts"]),
            "Genes unknown to the model": [{"gene": gene} for gene in unknown],
        },
    )
    same = same_identifiers(table, segmentation)
    summary.check(
        "all_transcripts", same, f"{n:,} rows in, {written:,} out, {'' if same else 'not '}in the same order."
    )
    summary.check("finite_scores", bad == 0, f"{bad:,} scores are not finite.")
    return summary
