"""The stage `model`: train on the training blocks, choose and tune the cut on validation; or take a model over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch

from ml_core.artifacts import MANIFEST, Artifact
from ml_core.errors import UserError
from ml_core.families.segger.curves import training_curves
from ml_core.families.segger.data import FULL, SPLITS, Graph, Splits, Tiles, load_graph, load_splits, load_tiles
from ml_core.families.segger.model import Segger
from ml_core.families.segger.pooling import profiles_of
from ml_core.families.segger.samples import Negatives, TileSamples
from ml_core.families.segger.scoring import score_tiles
from ml_core.families.segger.settings import ModelSettings
from ml_core.families.segger.task import SeggerTask
from ml_core.families.segger.views import training_views, view_name
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.checkpoint import WEIGHTS, load_weights
from ml_core.training.stage import fit_stage, summary_with_curves
from ml_core.training.state import FitResult
from ml_core.training.task import Training

SIZES = ("init_emb", "hidden_channels", "num_mid_layers", "out_channels", "heads", "dropout")


def train(run: StageRun) -> Summary:
    """Train a model, or copy the finished one that `artifact` names."""
    settings: ModelSettings = run.settings
    graph = load_graph(run.inputs["graph"].directory)
    if settings.artifact is not None:
        return take_over(Path(settings.artifact), run.directory, views=list(graph.views))
    training = prepare(run, directory=_room(run))
    task, samples = training.task, training.train
    assert isinstance(task, SeggerTask)
    assert isinstance(samples, TileSamples)
    negatives = realised_negatives(samples, settings=settings)
    result = fit_stage(run, training)
    tiles, splits = samples.tiles, samples.splits
    assert splits is not None
    calibration = calibration_samples(
        graph, tiles=tiles, splits=splits, settings=settings, mask=samples.mask, directory=_room(run)
    )
    scores = score_tiles(task, calibration)
    transcripts = sum(len(tiles.owned_by(tile)) for tile in splits.tiles_of("validation"))
    cut, plausible_cut = (
        cut_for_share(each, share=settings.share_assigned, of=transcripts)
        for each in (scores.evidence, scores.fit.max(axis=1))
    )
    description = {
        "sizes": {name: getattr(settings, name) for name in SIZES},
        "genes": graph.genes,
        "score_cut": cut,
        "plausible_cut": plausible_cut,
        "share_assigned": settings.share_assigned,
        "profiles": _pooling(settings),
        "test_view": view_name(settings.test_view),
        "trained_on": run.inputs["graph"].digest,
    }
    (run.directory / "model.json").write_text(json.dumps(description, indent=1) + "\n")
    return _summary(run, result=result, negatives=negatives, cut=cut)


def prepare(run: StageRun, *, directory: Path | None = None) -> Training:
    """What is trained on what: a new model, the training blocks, and the held-out ring of the validation blocks.

    directory: where profiles are kept, instead of in memory.
    """
    settings: ModelSettings = run.settings
    if settings.artifact is not None:
        raise UserError("model.artifact names a finished model, so that nothing is trained; leave it empty to train.")
    graph = load_graph(run.inputs["graph"].directory)
    tiles, splits = load_tiles(run.inputs["tiles"].directory), load_splits(run.inputs["splits"].directory)
    torch.manual_seed(settings.seed)
    model = Segger(len(graph.genes), **{name: getattr(settings, name) for name in SIZES})
    model.standardise(torch.from_numpy(graph.views[FULL].features[splits.nucleus == SPLITS.index("train")]))
    samples = training_samples(
        graph, tiles=tiles, splits=splits, settings=settings, mask=model.mask, directory=directory
    )
    weights = {"ring": settings.ring_weight, "inner": settings.inner_weight, "gene": settings.gene_weight}
    return Training(
        task=SeggerTask(model, weights=weights, link_loss=settings.link_loss),
        train=samples["train"],
        validation=samples["validation"],
        fingerprint={name: artifact.digest for name, artifact in run.inputs.items()},
    )


def take_over(source: Path, directory: Path, *, views: list[str]) -> Summary:
    """Copy a finished model artifact, so that predictions on a new sample, with these views, need no training."""
    artifact = Artifact(source.expanduser().resolve())
    if missing := [name for name in (MANIFEST, "model.json", WEIGHTS) if not (artifact.directory / name).is_file()]:
        raise UserError(
            f"model.artifact: {source} is not a finished segger model (it has no {missing[0]}); give the folder of a "
            "model stage, for instance data/artifacts/segger/model/current."
        )
    try:
        whose = [artifact.manifest[name] for name in ("family", "stage")]
        damage, summary = artifact.verify(), artifact.summary
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"model.artifact: {artifact.directory / MANIFEST} is damaged; take an intact copy.") from error
    if whose != ["segger", "model"]:
        raise UserError(
            f"model.artifact: {source} is of {' '.join(whose)}, expected segger model; give a model's folder."
        )
    if damage:
        raise UserError(f"model.artifact: {damage[0]}; take an intact copy.")
    test_view = json.loads((artifact.directory / "model.json").read_text())["test_view"]
    if test_view not in views:
        raise UserError(
            f"model.artifact: this model is tested on view {test_view}, which the graph has not (it has "
            f"{', '.join(views)}); add {test_view} to graph.shrunken_shares."
        )
    for name in artifact.manifest["files"]:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.directory / name, directory / name)
    summary.headline = f"Taken over, not trained here: {source}."
    summary.numbers["model.taken_over_from"] = artifact.digest
    return summary


def training_samples(
    graph: Graph, *, tiles: Tiles, splits: Splits, settings: ModelSettings, mask: int, directory: Path | None = None
) -> dict[str, TileSamples]:
    """Samples to train on, and to validate on (held-out ring).

    Profiles pool nuclei of the training blocks only, so that nothing of another split reaches the model. directory:
    where they are kept, those of each view in a folder, instead of in memory.
    """
    views = training_views(graph, settings)
    judged = view_name(settings.validation_view)
    if not (splits.nucleus == SPLITS.index("train")).any():
        raise UserError("model: no nucleus lies in the training blocks; raise splits.train or give a larger sample.")
    pooling = _pooling(settings)
    profiles = {}
    for view in sorted({*views, judged}):
        folder = None if directory is None else directory / view
        if folder is not None:
            folder.mkdir()
        profiles[view] = profiles_of(graph, view=view, splits=splits, **pooling, directory=folder)
    common = {**_drawing(graph, settings=settings, mask=mask), "tiles": tiles, "splits": splits, "profiles": profiles}
    train, validation = splits.tiles_of("train"), splits.tiles_of("validation")
    held_out = {judged: 1.0, FULL: 1.0}
    return {
        "train": TileSamples(graph, chosen=train, views=views, **common),
        "validation": TileSamples(graph, chosen=validation, views=held_out, folds=settings.validation_folds, **common),
    }


def calibration_samples(
    graph: Graph, *, tiles: Tiles, splits: Splits, settings: ModelSettings, mask: int, directory: Path | None = None
) -> TileSamples:
    """Samples to tune the cut on: whole nuclei in the validation blocks.

    The cut uses no labels; it must mean the same as in prediction, where profiles pool all nuclei of a sample.
    directory: where these are kept, instead of in memory.
    """
    return TileSamples(
        graph,
        tiles=tiles,
        chosen=splits.tiles_of("validation"),
        splits=None,
        views={FULL: 1.0},
        profiles={FULL: profiles_of(graph, view=FULL, **_pooling(settings), directory=directory)},
        folds=settings.validation_folds,
        **_drawing(graph, settings=settings, mask=mask),
    )


def _room(run: StageRun) -> Path:
    """A folder for profiles, gone with the run's other work. Each process of a training has one of its own."""
    run.work.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(dir=run.work, prefix="profiles-"))


def _pooling(settings: ModelSettings) -> dict[str, Any]:
    return {
        "neighbours": settings.profile_neighbours,
        "prior": settings.profile_prior,
        "components": settings.profile_components,
        "most": settings.profile_bank,
        "stray_share": settings.stray_share,
        "stray_um": settings.stray_um,
    }


def _drawing(graph: Graph, *, settings: ModelSettings, mask: int) -> dict[str, Any]:
    return {
        "tokens": np.arange(len(graph.genes)),
        "mask": mask,
        "negatives": Negatives(settings.neg_ratio, settings.hard_share, settings.near_share),
        "mask_share": settings.mask_share,
    }


def cut_for_share(evidence: np.ndarray, *, share: float, of: int) -> float:
    """The evidence at which this share of `of` transcripts is assigned, those without a candidate counted as not."""
    kept = round(share * of)
    return float(np.sort(evidence)[::-1][min(kept, len(evidence)) - 1]) if len(evidence) and kept else 0.0


def realised_negatives(samples: TileSamples, *, settings: ModelSettings) -> dict[str, float]:
    """Negatives for each positive, as they are drawn in the first epoch: the ratio, and the share of hard ones."""
    positives = wrong = hard = 0
    for index in range(len(samples)):
        tile = samples.tile(index, seed=settings.seed, epoch=0)
        linked = tile["own"] >= 0
        compared = tile["compared"][linked]
        candidates = tile["candidates"].shape[1]
        positives += int(linked.sum())
        wrong += int(compared.sum()) - int(linked.sum())
        hard += int(compared[:, :candidates].sum()) - int(linked.sum())
    if not positives:
        raise UserError(
            "model: no nuclear transcript of the training blocks has its own nucleus among its candidates; check that "
            "transcripts and boundaries belong together, or lower splits.guard_um."
        )
    return {"ratio": wrong / positives, "hard_share": hard / max(wrong, 1), "positives": positives}


def load_model(artifact: Artifact) -> tuple[Segger, dict[str, Any]]:
    """The trained network in eval mode, and its model.json."""
    description = json.loads(artifact.path("model.json").read_text())
    model = Segger(len(description["genes"]), **description["sizes"])
    model.load_state_dict(load_weights(artifact.directory))
    return model.eval(), description


def _summary(run: StageRun, *, result: FitResult, negatives: dict[str, float], cut: float) -> Summary:
    settings: ModelSettings = run.settings
    summary = summary_with_curves(run, result, curves=training_curves)
    summary.numbers |= {f"negatives.{name}": value for name, value in negatives.items()} | {"model.score_cut": cut}
    exact = abs(negatives["ratio"] - settings.neg_ratio) < 0.01 * settings.neg_ratio
    summary.check(
        "negative_ratio",
        exact,
        f"{negatives['ratio']:.3f} negatives for each positive, asked for {settings.neg_ratio}.",
    )
    return summary
