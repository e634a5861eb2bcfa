"""The stage `model`: one seed gives the same bytes, also when broken off; a model is taken over whole or not."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_core.artifacts import Artifact, Store, sha256
from ml_core.errors import UserError
from ml_core.families.segger import samples as samples_module
from ml_core.families.segger import train
from ml_core.families.segger.data import FULL, SPLITS
from ml_core.families.segger.family import FAMILY, MODEL
from ml_core.families.segger.pooling import profiles_of
from ml_core.families.segger.samples import TileSamples
from ml_core.presets import settings_of, with_overrides
from ml_core.running import Outcome, run_stage
from ml_core.training import stage
from ml_core.training.interrupt import Interrupted
from tests.unit.families.segger.tiny import Tiny, tiny_settings


def run_model(tiny: Tiny, data: Path, *, watcher: Any = None, **changes: Any) -> Outcome:
    """The stage `model` in a store of its own, on the tiny sample."""
    settings = tiny_settings("model", **changes)
    return run_stage(FAMILY, MODEL, settings=settings, store=Store(data), inputs=tiny.artifacts, watcher=watcher)


def weights_of(artifact: Artifact) -> str:
    return sha256(artifact.path("model.safetensors"))


# ---------------------------------------------------------------- repeatable and resumable


def test_two_trainings_with_one_seed_have_the_same_bytes_and_another_seed_has_not(
    tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path
) -> None:
    again = run_model(tiny, tmp_path / "again").artifact
    assert again.digest == finished["model"].digest
    assert weights_of(again) == weights_of(finished["model"])
    other = run_model(tiny, tmp_path / "other", seed=1, max_epochs=1).artifact
    assert weights_of(other) != weights_of(finished["model"])


class InterruptsAfter:
    """A watcher that presses Ctrl-C when it is shown the given epoch, before that epoch's checkpoint is written."""

    def __init__(self, epoch: int) -> None:
        self.left = epoch

    def epoch(self, row: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def stop_at_check(number: int) -> Callable[[], bool]:
    checks = iter(range(1, 10**6))
    return lambda: next(checks) == number


@pytest.mark.parametrize("check", [2, 4, 6, 9], ids=["first-window", "mid-epoch", "in-validation", "second-epoch"])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stage, "fit", functools.partial(stage.fit, should_stop=stop_at_check(check)))
        with pytest.raises(Interrupted, match="start the same run again"):
            run_model(tiny, tmp_path)
    assert Store(tmp_path).current("segger", "model") is None
    assert list((tmp_path / "artifacts/segger/model").glob("*.partial")) == []
    resumed = run_model(tiny, tmp_path).artifact
    assert weights_of(resumed) == weights_of(finished["model"])
    assert resumed.digest == finished["model"].digest
    assert resumed.summary.numbers["train.resumed_from"] is not None
    assert not list((tmp_path / "runs").rglob("checkpoints"))


def test_ctrl_c_between_epoch_and_checkpoint_loses_nothing(
    tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_model(tiny, tmp_path, watcher=InterruptsAfter(1))
    assert weights_of(run_model(tiny, tmp_path).artifact) == weights_of(finished["model"])


def test_the_artifact_holds_the_model_its_logs_and_what_prediction_needs(finished: dict[str, Artifact]) -> None:
    model, description = train.load_model(finished["model"])
    assert not model.training
    assert description["genes"] == json.loads(finished["graph"].path("genes.json").read_text())
    assert np.isfinite(description["score_cut"])
    assert {"sizes", "profiles", "test_view", "share_assigned"} <= description.keys()
    assert finished["model"].path("logs").is_dir()
    assert finished["model"].path("figures/curves.png").stat().st_size > 10_000
    assert finished["model"].summary.numbers["negatives.ratio"] == pytest.approx(5.0)


# ---------------------------------------------------------------- what is trained on what


def all_samples(tiny: Tiny) -> dict[str, TileSamples]:
    sample = {"tiles": tiny.tiles, "splits": tiny.splits, "settings": tiny_settings("model"), "mask": 40}
    return {
        **train.training_samples(tiny.graph, **sample),
        "calibration": train.calibration_samples(tiny.graph, **sample),
    }


def test_profiles_on_disk_are_those_in_memory_and_handed_back_while_tiles_are_read(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = {"tiles": tiny.tiles, "splits": tiny.splits, "settings": tiny_settings("model"), "mask": 40}
    held = train.training_samples(tiny.graph, **sample)["train"]
    mapped = train.training_samples(tiny.graph, **sample, directory=tmp_path)["train"]
    assert all(isinstance(each.sums, np.memmap) for each in mapped.profiles.values())
    released = []
    monkeypatch.setattr(samples_module, "RELEASE_EVERY", 2)
    monkeypatch.setattr(mapped, "release", lambda: released.append(len(released)))
    for index in range(3):
        one, other = (each.fetch(np.array([index]), seed=0, epoch=0) for each in (held, mapped))
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(other[name], values, err_msg=name)
    assert released == [0]


def test_the_view_of_the_ring_test_is_never_trained_or_validated_on(tiny: Tiny) -> None:
    samples = all_samples(tiny)
    assert set(samples["train"].views) == {FULL, "0.40", "0.60"}
    assert set(samples["validation"].views) == {FULL, "0.60"}
    assert all("0.50" not in each.profiles for each in samples.values())


def test_each_split_is_sampled_from_its_own_tiles_and_profiles_pool_training_nuclei_only(tiny: Tiny) -> None:
    samples = all_samples(tiny)
    of = {"train": "train", "validation": "validation", "calibration": "validation"}
    for name, split in of.items():
        assert samples[name].chosen.tolist() == tiny.splits.tiles_of(split).tolist()
    for name in ("train", "validation"):
        pooled = samples[name].profiles[FULL].members[:, 1:]
        assert (tiny.splits.nucleus[pooled[pooled >= 0]] == 0).all()


def test_nothing_of_the_test_blocks_reaches_the_weights(
    tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path
) -> None:
    """The genes of all test transcripts are permuted: the same weights, though nuclei lie across the border."""
    folder = tmp_path / "graph"
    shutil.copytree(tiny.artifacts["graph"].directory, folder)
    rows = np.flatnonzero(tiny.splits.transcript == 2)
    nuclear = rows[tiny.graph.nucleus[rows] >= 0]
    assert (tiny.splits.nucleus[tiny.graph.nucleus[nuclear]] != 2).any()
    gene = tiny.graph.gene.copy()
    gene[rows] = np.random.default_rng(0).permutation(gene[rows])
    assert (gene != tiny.graph.gene).any()
    np.save(folder / "gene.npy", gene)
    inputs = {**tiny.artifacts, "graph": Artifact(folder)}
    outcome = run_stage(FAMILY, MODEL, settings=tiny_settings("model"), store=Store(tmp_path / "data"), inputs=inputs)
    assert weights_of(outcome.artifact) == weights_of(finished["model"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_view": 0.3}, r"the graph has no view 0.30 \(it has 0.40, 0.50, 0.60, full\); add the share to"),
        ({"validation_view": 0.7}, r"the graph has no view 0.70"),
        ({"monitor": "val_accuracy"}, r"monitor is 'val_accuracy', but the task gives val_loss, .*val_top1"),
    ],
)
def test_what_does_not_fit_the_graph_is_one_sentence(
    tiny: Tiny, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run_model(tiny, tmp_path, **changes)


# ---------------------------------------------------------------- a model from elsewhere


@pytest.fixture
def copy(finished: dict[str, Artifact], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished["model"].directory, tmp_path / "copy"))


def test_a_model_is_taken_over_byte_for_byte_without_training(
    tiny: Tiny, finished: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "fit_stage", lambda *_, **__: pytest.fail("it was trained"))
    taken = run_model(tiny, tmp_path, artifact=str(finished["model"].directory)).artifact
    assert taken.digest == finished["model"].digest
    assert taken.summary.headline.startswith("Taken over, not trained here")
    assert taken.summary.numbers["model.taken_over_from"] == finished["model"].digest


def test_another_model_in_the_same_folder_is_another_result(tiny: Tiny, copy: Path, tmp_path: Path) -> None:
    """Only the folder's name stands in the settings, but what counts is the model in it."""
    outcome = run_model(tiny, tmp_path / "data", artifact=str(copy))
    assert run_model(tiny, tmp_path / "data", artifact=str(copy)).cached
    moved = copy.rename(copy.with_name("moved"))
    assert run_model(tiny, tmp_path / "data", artifact=str(moved)).cached, "the same model elsewhere is the same result"
    shutil.copytree(run_model(tiny, tmp_path / "other", seed=3, max_epochs=1).artifact.directory, copy)
    replaced = run_model(tiny, tmp_path / "data", artifact=str(copy))
    assert not replaced.cached
    assert weights_of(replaced.artifact) != weights_of(outcome.artifact)


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def change_manifest(folder: Path, **changes: str) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut weights": (cut_weights, r"model.safetensors: has changed since it was written; take an intact copy"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"\(it has no model.safetensors\)"),
    "no description": (
        lambda f: (f / "model.json").unlink(),
        r"is not a finished segger model \(it has no model.json\)",
    ),
    "changed description": (lambda f: (f / "model.json").write_text("{}"), r"model.json: has changed since"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), r"\(it has no manifest.json\)"),
    "broken manifest": (lambda f: (f / "manifest.json").write_text("{"), r"manifest.json is damaged"),
    "empty manifest": (lambda f: (f / "manifest.json").write_text("{}"), r"manifest.json is damaged"),
    "another family": (lambda f: change_manifest(f, family="hgt"), r"is of hgt model, expected segger model"),
    "another stage": (lambda f: change_manifest(f, stage="graph"), r"is of segger graph, expected segger model"),
    "nothing there": (shutil.rmtree, r"is not a finished segger model"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_or_foreign_model_is_refused_in_one_sentence(
    tiny: Tiny, copy: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(copy)
    with pytest.raises(UserError, match=said):
        run_model(tiny, tmp_path / "data", artifact=str(copy))
    assert Store(tmp_path / "data").current("segger", "model") is None


def test_a_model_whose_test_view_the_graph_lacks_is_refused(finished: dict[str, Artifact], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tested on view 0.50, .*it has full\); add 0.50 to graph.shrunken_shares"):
        train.take_over(finished["model"].directory, tmp_path, views=[FULL])


def test_profiles_in_training_do_not_know_what_a_nucleus_has_in_another_split(tiny: Tiny) -> None:
    graph, splits = tiny.graph, tiny.splits
    labelled, inside = np.asarray(graph.views[FULL].labelled), np.asarray(graph.nucleus) >= 0
    astray = np.flatnonzero(labelled & (splits.transcript != splits.nucleus[graph.nucleus]))
    loose = np.flatnonzero(~inside & (splits.transcript == SPLITS.index("test")))
    assert len(astray)
    assert len(loose)
    gene = np.asarray(graph.gene).copy()
    for rows in (astray, loose):
        gene[rows] = (gene[rows] + 1) % len(graph.genes)
    before, after = (
        profiles_of(
            each, view=FULL, neighbours=5, prior=1.0, components=3, stray_share=0.3, stray_um=30.0, splits=splits
        )
        for each in (graph, dataclasses.replace(graph, gene=gene))
    )
    of_train = splits.nucleus == SPLITS.index("train")
    assert np.array_equal(before.sums[of_train], after.sums[of_train])
    assert not np.array_equal(before.own, after.own)  # surroundings do count in their own split


# ---------------------------------------------------------------- settings that are mappings


def test_mappings_of_parts_can_be_set_in_the_shell() -> None:
    given = [
        "model.frozen=[token]",
        "model.thaw_epochs={token: 3}",
        "model.learning_rates={layers.*: 0.1, tx_in: 1e-3}",
    ]
    settings = settings_of(MODEL, with_overrides({}, given, FAMILY)["model"], where="test")
    assert settings.thaw_epochs == {"token": 3}
    assert list(settings.learning_rates.items()) == [("layers.*", 0.1), ("tx_in", 0.001)]
