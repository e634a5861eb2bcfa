"""Every input row stands in the output with its status; cuts, fragments, exports; a finished model on a new sample."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml_core import __main__ as shell
from ml_core.artifacts import Artifact, Store
from ml_core.families.segger import assign, predict, train
from ml_core.families.segger.data import FULL, load_graph
from ml_core.families.segger.family import FAMILY, PREDICTIONS
from ml_core.running import run_stage
from tests.unit.families.segger.tiny import EXTRAS, Tiny, as_arguments, tiny_settings

needs_extras = pytest.mark.skipif(not EXTRAS, reason="anndata and geopandas are not installed (extra 'export')")


def segmentation(artifact: Artifact) -> pd.DataFrame:
    return pd.read_parquet(artifact.path("segmentation.parquet"))


def input_of(artifacts: dict[str, Artifact]) -> pd.DataFrame:
    return pd.read_parquet(artifacts["transcripts"].path("transcripts.parquet"))


def run_predictions(finished: dict[str, Artifact], data: Path, **changes: Any) -> Artifact:
    settings = tiny_settings("predictions", **{"polygons": "none", "anndata": False, "xeniumranger": False} | changes)
    return run_stage(FAMILY, PREDICTIONS, settings=settings, store=Store(data), inputs=finished).artifact


# ---------------------------------------------------------------- rows and statuses


def test_every_input_row_is_in_the_output_in_the_same_order(finished: dict[str, Artifact]) -> None:
    given, found = input_of(finished), segmentation(finished["predictions"])
    assert found["transcript_id"].tolist() == given["transcript_id"].tolist()
    raw = pd.read_parquet(finished["raw"].path("transcripts.parquet"))
    assert found["transcript_id"].tolist() == raw["transcript_id"].tolist()
    numbers = finished["predictions"].summary.numbers
    assert numbers["predictions.input_rows"] == numbers["predictions.output_rows"] == len(raw)


def test_each_row_has_one_status_and_only_assigned_rows_and_fragments_have_a_cell(
    finished: dict[str, Artifact],
) -> None:
    given, found = input_of(finished), segmentation(finished["predictions"])
    assert set(found["status"]) <= {"assigned", "below_cut", "no_candidate", "filtered", "fragment"}
    assert ((found["status"] == "filtered") == (given["status"] != 0)).all()
    assert (found["cell_id"].notna() == found["status"].isin(["assigned", "fragment"])).all()
    scored = found["status"].isin(["assigned", "below_cut"])
    assert (found["score"].notna() == scored).all()
    assert found.loc[scored, "score"].between(0, 1).all()
    counts = finished["predictions"].summary.numbers
    for status, count in found["status"].value_counts().items():
        assert counts[f"predictions.status.{status}"] == count


def test_assigned_is_what_reaches_the_models_cut_and_the_cell_is_a_nucleus_of_the_sample(
    finished: dict[str, Artifact],
) -> None:
    found = segmentation(finished["predictions"])
    cut = json.loads(finished["model"].path("model.json").read_text())["score_cut"]
    assigned, below = found[found["status"] == "assigned"], found[found["status"] == "below_cut"]
    assert assigned["evidence"].min() >= np.float32(cut) > below["evidence"].max()
    nuclei = pd.read_parquet(finished["transcripts"].path("nuclei.parquet"))
    assert set(assigned["cell_id"]) <= set(nuclei["cell_id"])


def test_a_nuclear_transcript_mostly_goes_to_its_nucleus(finished: dict[str, Artifact]) -> None:
    given, found = input_of(finished), segmentation(finished["predictions"])
    nuclei = pd.read_parquet(finished["transcripts"].path("nuclei.parquet"))["cell_id"].to_numpy()
    nuclear = (given["nucleus"] >= 0) & (found["status"] == "assigned")
    right = found["cell_id"][nuclear].to_numpy() == nuclei[given["nucleus"][nuclear]]
    assert right.mean() > 0.9


# ---------------------------------------------------------------- cuts


def test_a_cut_of_ones_own_overrides_the_models(finished: dict[str, Artifact], tmp_path: Path) -> None:
    everything = segmentation(run_predictions(finished, tmp_path, score_cut=-1e9))
    assert not (everything["status"] == "below_cut").any()
    nothing = segmentation(run_predictions(finished, tmp_path, score_cut=1e9))
    assert not (nothing["status"] == "assigned").any()
    assert (nothing["evidence"].dropna() == everything["evidence"].dropna()).all(), "the cut must not change a score"
    assert nothing["cell_id"].isna().all() or set(nothing["status"][nothing["cell_id"].notna()]) == {"fragment"}


def test_with_a_cut_for_each_gene_each_gene_keeps_the_same_share(finished: dict[str, Artifact], tmp_path: Path) -> None:
    found = segmentation(run_predictions(finished, tmp_path, gene_cut=True))
    gene = input_of(finished)["feature"]
    scored = found["status"].isin(["assigned", "below_cut"])
    share = (found["status"] == "assigned")[scored].groupby(gene[scored], observed=True).agg(["mean", "size"])
    left_out = (1 - share["mean"]) * share["size"]
    assert (left_out <= 0.05 * share["size"] + 1).all()
    assert (left_out[share["size"] >= 60] >= 1).all()


def test_a_genes_cut_knows_only_transcripts_with_a_candidate() -> None:
    evidence = np.array([0.0, -1.0, -2.0, -3.0, -np.inf, -9.0])
    cuts = assign.gene_cuts(np.array([0, 0, 0, 0, 0, 1]), evidence, cell=np.array([1, 1, 1, 1, -1, 2]), share=0.75)
    assert cuts[:5].tolist() == [np.quantile([0, -1, -2, -3], 0.25)] * 5
    assert cuts[5] == -9.0


def test_by_plausible_nuclei_a_transcript_goes_to_the_most_probable_that_its_gene_fits(
    finished: dict[str, Artifact], tmp_path: Path
) -> None:
    cut = -0.3
    artifacts = {by: run_predictions(finished, tmp_path, assign_by=by, score_cut=cut) for by in ("chance", "plausible")}
    chance, fit = (np.load(artifacts["chance"].path(f"scores/{name}.npy")) for name in ("chance", "fit"))
    cell = {by: np.load(artifact.path("scores/cell.npy")) for by, artifact in artifacts.items()}
    kept = {by: np.load(artifact.path("scores/kept.npy")) for by, artifact in artifacts.items()}
    assert (kept["plausible"] == (fit.max(axis=1) >= cut)).all()
    assert (cell["plausible"] == cell["chance"])[kept["chance"]].all(), "who fits the most probable stays there"
    moved = kept["plausible"] & ~kept["chance"]
    assert moved.sum() > 20
    column = np.where(fit >= cut, chance, -1).argmax(axis=1)
    graph = load_graph(finished["graph"].directory)
    candidates = np.asarray(graph.views[FULL].candidates)
    assert (cell["plausible"][moved] == candidates[np.arange(len(column)), column][moved]).all()
    found = segmentation(artifacts["plausible"])
    assert found["evidence"][found["status"] == "assigned"].min() >= cut


def test_the_model_knows_a_cut_for_either_rule(finished: dict[str, Artifact], tmp_path: Path) -> None:
    shares = {
        by: run_predictions(finished, tmp_path, assign_by=by).summary.numbers["predictions.share_assigned"]
        for by in ("chance", "plausible")
    }
    assert shares["plausible"] == pytest.approx(shares["chance"], abs=0.03)
    description = json.loads(finished["model"].path("model.json").read_text())
    assert description["plausible_cut"] > description["score_cut"]


def test_scores_do_not_depend_on_the_number_of_folds_much_but_all_are_finite(
    finished: dict[str, Artifact], tmp_path: Path
) -> None:
    two, three = (segmentation(run_predictions(finished, tmp_path, folds=folds)) for folds in (2, 3))
    both = (two["status"] == "assigned") & (three["status"] == "assigned")
    assert (two["cell_id"] == three["cell_id"])[both].mean() > 0.9


# ---------------------------------------------------------------- exports


def test_polygons_are_geojson_of_the_assigned_cells(finished: dict[str, Artifact]) -> None:
    features = json.loads(finished["predictions"].path("cells.geojson").read_text())["features"]
    assigned = set(segmentation(finished["predictions"])["cell_id"].dropna())
    assert len(features) > 40
    assert {feature["properties"]["cell_id"] for feature in features} <= assigned


@needs_extras
def test_geoparquet_and_anndata_are_readable_and_agree(finished: dict[str, Artifact]) -> None:
    import anndata
    import geopandas

    found = segmentation(finished["predictions"])
    frame = geopandas.read_parquet(finished["predictions"].path("cells.geoparquet"))
    assert frame.geometry.is_valid.all()
    assert set(frame["cell_id"]) <= set(found["cell_id"].dropna())
    table = anndata.read_h5ad(finished["predictions"].path("cells.h5ad"))
    assert table.X.sum() == found["cell_id"].notna().sum()
    assert table.var_names.tolist() == json.loads(finished["graph"].path("genes.json").read_text())


def test_xenium_ranger_gets_a_row_for_each_transcript(finished: dict[str, Artifact]) -> None:
    table = pd.read_csv(finished["predictions"].path("xeniumranger/segmentation.csv"), keep_default_na=False)
    assert len(table) == len(input_of(finished))
    assert ((table["cell"] == "") == (table["is_noise"] == 1)).all()


def test_the_cell_table_counts_what_was_assigned(finished: dict[str, Artifact]) -> None:
    cells = pd.read_parquet(finished["predictions"].path("cells.parquet")).set_index("cell_id")
    counted = segmentation(finished["predictions"])["cell_id"].value_counts()
    assert cells["transcripts"].sum() == counted.sum()
    assert (cells.loc[counted.index, "transcripts"] == counted).all()


# ---------------------------------------------------------------- order of the rows


def test_a_shuffled_sample_has_the_same_cells(tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path) -> None:
    """The vendor's rows come in no order that means anything; ties among equal distances are not at play here."""
    given = pq.read_table(finished["raw"].path("transcripts.parquet"))
    order = np.random.default_rng(0).permutation(len(given))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    pq.write_table(given.take(order), bundle / "transcripts.parquet")
    shutil.copy(finished["raw"].path("nucleus_boundaries.parquet"), bundle)
    artifacts = run_to(tmp_path / "data", "predictions", bundle=bundle, model=finished["model"])
    found = segmentation(artifacts["predictions"]).set_index("transcript_id")
    expected = segmentation(finished["predictions"]).set_index("transcript_id")
    found = found.loc[expected.index]
    assert (found["status"] == expected["status"]).mean() > 0.995
    both = expected["cell_id"].notna() & found["cell_id"].notna()
    assert (found["cell_id"] == expected["cell_id"])[both].mean() > 0.99


def run_to(data: Path, until: str, *, bundle: Path, model: Artifact) -> dict[str, Artifact]:
    """Through the command line, as a user would with a finished model; the artifacts by stage."""
    path = ["--set", "raw.source=path", "--set", f"raw.bundle={bundle}", "--set", f"model.artifact={model.directory}"]
    small = [*as_arguments("graph"), *as_arguments("tiles"), *as_arguments("splits"), *as_arguments("report")]
    assert shell.main(["run", "segger", "--data", str(data), "--until", until, *path, *small]) == 0
    store = Store(data)
    found = {stage.name: store.current("segger", stage.name) for stage in FAMILY.needed_for(until)}
    return {name: artifact for name, artifact in found.items() if artifact is not None}


# ---------------------------------------------------------------- a new sample


@pytest.fixture(scope="module")
def renamed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another simulated sample, of which five genes have names that the model has never seen."""
    folder = tmp_path_factory.mktemp("new")
    settings = tiny_settings("raw", seed=7)
    raw = run_stage(FAMILY, FAMILY["raw"], settings=settings, store=Store(folder / "data")).artifact
    bundle = folder / "bundle"
    bundle.mkdir()
    table = pd.read_parquet(raw.path("transcripts.parquet"))
    new = {f"GENE{number:04d}": f"NEW{number}" for number in range(5)}
    table["feature_name"] = table["feature_name"].astype(str).replace(new)
    table.to_parquet(bundle / "transcripts.parquet", index=False)
    shutil.copy(raw.path("nucleus_boundaries.parquet"), bundle)
    return bundle


def test_a_finished_model_predicts_and_reports_a_new_sample_without_training(
    finished: dict[str, Artifact],
    renamed_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(train, "fit_stage", lambda *_, **__: pytest.fail("it was trained"))
    current = Artifact(finished["model"].directory.parent / "current")
    artifacts = run_to(tmp_path, "report", bundle=renamed_bundle, model=current)
    assert "Taken over, not trained here" in capsys.readouterr().out
    numbers = artifacts["predictions"].summary.numbers
    found = segmentation(artifacts["predictions"])
    assert len(found) == pq.read_metadata(renamed_bundle / "transcripts.parquet").num_rows
    assert (found["status"] == "assigned").mean() > 0.7
    assert numbers["predictions.unknown_genes"] == 5
    given = input_of(artifacts)
    assert numbers["predictions.unknown_gene_transcripts"] == given["feature"].astype(str).str.startswith("NEW").sum()
    assert artifacts["predictions"].summary.tables["Genes unknown to the model"] == [
        {"gene": f"NEW{number}"} for number in range(5)
    ]
    metrics = json.loads(artifacts["report"].path("metrics.json").read_text())
    assert "biology.mecr_at_95" not in metrics, "there is no reference"
    assert metrics["ring.whole.top1"] > 0.8


def test_a_panel_in_another_order_gives_each_gene_its_own_token(tiny: Tiny, finished: dict[str, Artifact]) -> None:
    graph = dataclasses.replace(tiny.graph, genes=[*tiny.graph.genes[::-1][:-1], "NEW"])
    description = json.loads(finished["model"].path("model.json").read_text())
    run = dataclasses.make_dataclass("Run", ["inputs"])(tiny.artifacts)
    samples, unknown = predict.sample_tiles(run, graph=graph, description=description, view=FULL, folds=2)
    assert unknown == ["NEW"]
    assert samples.tokens.tolist() == [*range(len(graph.genes) - 1, 0, -1), samples.mask]
