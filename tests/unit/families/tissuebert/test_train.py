"""The stages model and calibration on planted reads, and what a trained model says of rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.tissuebert import calibration, inference, train
from ml_core.families.tissuebert.donors import save_splits
from ml_core.families.tissuebert.inference import predict_rows, score_rows
from ml_core.families.tissuebert.model_files import load_model
from ml_core.families.tissuebert.model_settings import CalibrationSettings, ModelSettings
from ml_core.families.tissuebert.scores import accuracy, pooled
from ml_core.running import StageRun
from ml_core.summary import Summary
from tests.unit.families.tissuebert.planted_model import TISSUES, plant, splits_of

TINY = {
    "dim": 16,
    "layers": 1,
    "heads": 2,
    "feed_dim": 32,
    "bag_reads": 8,
    "batch_size": 16,
    "samples_per_epoch": 400,
    "max_epochs": 6,
    "tissue_weight": 1.0,
    "learning_rate": 5e-3,
    "device": "cpu",
    "threads": 1,
    "tensorboard": False,
    "progress_bar": False,
}


class Trained:
    """A folder with the artifacts of regions, splits and model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifact("regions")
        self.artifact("splits")
        self.regions = plant(folder / "regions", depth=20)
        self.splits = splits_of(self.regions)
        save_splits(folder / "splits", self.splits)
        self.summary = train.train(self.run("model", ModelSettings(**TINY), inputs=("regions", "splits")))

    def artifact(self, name: str) -> Artifact:
        directory = self.folder / name
        directory.mkdir(exist_ok=True)
        (directory / "manifest.json").write_text(json.dumps({"digest": name}))
        return Artifact(directory)

    def run(self, name: str, settings: ModelSettings | CalibrationSettings, *, inputs: tuple[str, ...]) -> StageRun:
        artifacts = {each: self.artifact(each) for each in inputs}
        self.artifact(name)
        work = self.folder / f"{name}-work"
        work.mkdir()
        return StageRun(settings, artifacts, self.folder / name, work, self.folder)

    @property
    def model(self) -> Path:
        return self.folder / "model"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def calibrated(trained: Trained) -> Summary:
    run = trained.run("calibration", CalibrationSettings(pooled_reads=[2, 5]), inputs=("regions", "splits", "model"))
    return calibration.build(run)


def scores_of(trained: Trained, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihoods, true tissues and samples of all rows of a split."""
    samples = trained.splits.samples_in(split)
    rows = np.concatenate([trained.regions.rows_of(each) for each in samples])
    sample = trained.regions.row_sample[rows]
    return predict_rows(trained.model, trained.regions, rows), trained.regions.tissue_of_sample[sample], sample


def test_a_tiny_training_learns_to_name_donors_it_has_not_seen(trained: Trained) -> None:
    likelihood, true, sample = scores_of(trained, "test")
    owners, summed = pooled(likelihood, weight=np.ones(len(true)), owner=sample)
    assert accuracy(summed, trained.regions.tissue_of_sample[owners]) == 1
    assert accuracy(likelihood, true) > 0.4


def test_the_tissue_head_learns_from_nothing(trained: Trained) -> None:
    """Constant answers cost log(tissues) under label smoothing too, and name a fourth of the reads rightly."""
    history = pd.read_csv(trained.model / "logs" / "metrics.csv")
    assert history["val_tissue_loss"].iloc[-1] < np.log(TISSUES) - 0.04
    samples = trained.splits.samples_in("test")
    rows = np.concatenate([trained.regions.rows_of(each) for each in samples])
    true = trained.regions.tissue_of_sample[trained.regions.row_sample[rows]]
    assert accuracy(score_rows(trained.model, trained.regions, rows).tissue, true) > 0.32


def test_the_summary_has_figures_a_row_for_each_tissue_and_no_test_sample(trained: Trained) -> None:
    summary = trained.summary
    assert summary.numbers["validation.sample_accuracy"] == 1
    assert summary.numbers["train.samples"] == summary.numbers["train.donors"] == 3 * TISSUES
    assert [row["tissue"] for row in summary.tables["Validation donors by tissue"]] == [
        f"tissue{number}" for number in range(TISSUES)
    ]
    assert all((trained.model / path).stat().st_size > 0 for path in summary.figures.values())
    assert {check.name: check.passed for check in summary.checks}["test_unseen"]


def test_rows_come_back_one_for_one_in_any_order_and_more_than_once(trained: Trained) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(trained.regions), 500)
    found = score_rows(trained.model, trained.regions, rows)
    assert found.likelihood.shape == found.tissue.shape == (500, TISSUES)
    assert found.likelihood.dtype == np.float32
    for place in (0, 17, 499):
        alone = score_rows(trained.model, trained.regions, rows[[place]])
        assert np.allclose(alone.likelihood, found.likelihood[place], atol=1e-5)
        assert np.allclose(alone.tissue, found.tissue[place], atol=1e-5)
    again = predict_rows(trained.model, trained.regions, rows[::-1])
    assert np.allclose(again[::-1], found.likelihood, atol=1e-5)
    assert predict_rows(trained.model, trained.regions, rows[:0]).shape == (0, TISSUES)


def test_scores_do_not_depend_on_how_many_reads_go_together(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(0, len(trained.regions), 7)
    whole = predict_rows(trained.model, trained.regions, rows)
    monkeypatch.setattr(inference, "BLOCK_PLACES", 60)
    assert np.allclose(predict_rows(trained.model, trained.regions, rows), whole, atol=1e-5)


def test_reads_of_another_panel_or_no_model_are_refused_in_one_sentence(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected the folder of a trained model"):
        predict_rows(tmp_path, trained.regions, np.arange(3))
    path = trained.model / "model.json"
    said = path.read_text()
    trained_again = tmp_path / "model"
    trained_again.mkdir()
    for name in ("tables.npz", "model.safetensors"):
        (trained_again / name).write_bytes((trained.model / name).read_bytes())
    for key, expected in (("panel_digest", "has another panel"), ("build", "is of build planted")):
        (trained_again / "model.json").write_text(json.dumps(json.loads(said) | {key: "other"}))
        _touch(trained_again / "model.safetensors")
        with pytest.raises(UserError, match=expected):
            score_rows(trained_again, trained.regions, np.arange(3))


def _touch(weights: Path) -> None:
    """A trained model is kept in memory as long as its weights stay."""
    weights.write_bytes(weights.read_bytes())


def test_a_temperature_of_validation_donors_lowers_the_error_of_bold_scores_on_test_donors(trained: Trained) -> None:
    levels = {}
    for split in ("validation", "test"):
        likelihood, true, _ = scores_of(trained, split)
        weight = calibration.alike(true, np.ones(len(true)))
        judged = calibration.Judged(12 * likelihood, true, weight)
        levels[split] = {"read": judged, "tissue_head": judged}
    found = calibration.fit(levels["validation"])
    assert found.fitted
    assert found.read > 4
    test = levels["test"]["read"]
    before, after = test.at(1.0, bins=10).error, test.at(found.read, bins=10).error
    assert after < before / 2
    assert after < 0.04


def test_the_stage_judges_each_level_on_test_donors_and_writes_what_it_found(
    trained: Trained, calibrated: Summary
) -> None:
    directory = trained.folder / "calibration"
    rows = {row["level"]: row for row in calibrated.tables["Calibration on test donors"]}
    assert set(rows) == {"read", "tissue_head", "pooled_2", "pooled_5"}
    test_rows = sum(len(trained.regions.rows_of(each)) for each in trained.splits.samples_in("test"))
    assert rows["read"]["items"] == test_rows
    stored = calibration.load_calibration(directory)
    assert stored.fitted
    assert stored.read == pytest.approx(calibrated.numbers["calibration.temperature.read"])
    assert calibration.temperature_of("pooled_5", stored) == stored.pooled
    assert (directory / "figures" / "reliability.png").stat().st_size > 0


def test_a_tissue_head_that_was_not_trained_is_not_judged(trained: Trained, tmp_path: Path) -> None:
    untrained = shutil.copytree(trained.model, tmp_path / "model")
    described = json.loads((untrained / "model.json").read_text())
    (untrained / "model.json").write_text(json.dumps(described | {"tissue_head": False}))
    for directory, heads in ((trained.model, ("likelihood", "tissue")), (untrained, ("likelihood",))):
        model = load_model(directory)
        assert model.heads == heads
        rows = trained.regions.rows_of(0)
        asked = score_rows(directory, trained.regions, rows)
        smoothing = 0.1 if "tissue" in heads else None
        settings = CalibrationSettings(pooled_reads=[2])
        found = calibration.levels(trained.regions, rows, asked, settings, label_smoothing=smoothing)
        assert ("tissue_head" in found) == ("tissue" in heads)


def test_without_validation_donors_all_temperatures_are_one_and_it_says_so() -> None:
    nothing = calibration.Judged(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0))
    assert calibration.fit({"read": nothing, "tissue_head": nothing}) == calibration.Calibration(1, 1, 1, False)


def test_tissues_count_alike_whatever_their_number_of_reads() -> None:
    true = np.array([0, 0, 0, 1])
    weight = calibration.alike(true, np.array([1.0, 2.0, 1.0, 5.0]))
    assert np.bincount(true, weight) == pytest.approx([1, 1])
    assert weight[1] == pytest.approx(2 * weight[0])
