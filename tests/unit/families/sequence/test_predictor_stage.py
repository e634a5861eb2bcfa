"""What is learnt from: never a test sample, whole groups, known targets; and what is handed on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence.data import GroupSplits, SampleTable
from ml_core.families.sequence.encoder_stage import DESCRIPTION
from ml_core.families.sequence.evaluate import predict_samples
from ml_core.families.sequence.model_settings import PredictorSettings
from ml_core.families.sequence.predictor_stage import Prepared, labelled_rows, prepare_on
from ml_core.families.sequence.predictor_task import PredictorTask
from ml_core.training.checkpoint import WEIGHTS
from ml_core.training.trainer import fit
from tests.unit.families.sequence.small import SIZES, small_encoder, small_table

PART = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3], np.uint8)
GROUP = np.array([f"g{number // 2}" for number in range(10)] + ["", ""], object)
SPLITS = GroupSplits(PART, GROUP, fold=0, folds=5, seed=0)
TINY = {"hidden": 8, "head_layers": 1, "members": 2, "rarefactions": 3, "channels": 6, "target": "age"}


@pytest.fixture
def encoder(tmp_path: Path) -> Artifact:
    """A pretrained encoder as its stage leaves it."""
    torch.manual_seed(0)
    folder = tmp_path / "encoder"
    folder.mkdir()
    sizes = {"max_bp": 20, "metric": "unweighted", **SIZES}
    (folder / DESCRIPTION).write_text(json.dumps({"sizes": sizes, "token_limit": 100}))
    save_file(small_encoder().state_dict(), folder / WEIGHTS)
    return Artifact(folder)


def prepared(encoder: Artifact, *, table: SampleTable | None = None, **changes: object) -> Prepared:
    return prepare_on(table or small_table(), SPLITS, encoder, settings=PredictorSettings(**{**TINY, **changes}))


@pytest.mark.parametrize("learn_from", ["train", "train+validation"])
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_labels_are_of_whole_training_groups_and_never_of_the_test(learn_from: str, share: float) -> None:
    settings = PredictorSettings(target="age", learn_from=learn_from, label_share=share)
    rows = labelled_rows(small_table(), SPLITS, settings)
    allowed = {0} if learn_from == "train" else {0, 1}
    assert set(PART[rows]) <= allowed
    for group in set(GROUP[rows]):
        assert (GROUP[rows] == group).sum() == 2
    more = labelled_rows(small_table(), SPLITS, settings.model_copy(update={"label_share": 1.0}))
    assert set(rows) <= set(more)
    assert len(rows) == max(1, round(share * len(set(GROUP[more])))) * 2


def test_samples_without_a_target_are_left_out() -> None:
    table = small_table()
    table.metadata.loc[[0, 3], "age"] = np.nan
    rows = labelled_rows(table, SPLITS, PredictorSettings(target="age"))
    assert rows.tolist() == [1, 2, 4, 5]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(encoder: Artifact) -> None:
    with pytest.raises(UserError, match="no column 'weight', they have age, diet, site"):
        prepared(encoder, target="weight")


def test_nothing_of_the_test_samples_reaches_the_training(encoder: Artifact) -> None:
    plain = prepared(encoder)
    table = small_table()
    whole, metadata = table.whole.tolil(), table.metadata.copy()
    whole[8:10, :] = whole[8:10, :].toarray()[:, ::-1]
    metadata.loc[8:9, "age"] = 1e6
    other = dataclasses.replace(table, whole=whole.tocsr(), counts=table.counts, metadata=metadata)
    changed = prepared(encoder, table=other)
    for left, right in zip(*(p.training.task.model.state_dict().values() for p in (plain, changed)), strict=True):
        torch.testing.assert_close(left, right)
    ours, theirs = (p.training.train.fetch(np.arange(6), seed=0, epoch=0) for p in (plain, changed))
    torch.testing.assert_close(ours.embedding, theirs.embedding)
    assert plain.target == changed.target


def test_a_frozen_base_is_out_of_the_optimizer_and_its_cache_is_what_it_says_of_the_sets(encoder: Artifact) -> None:
    frozen, joint = prepared(encoder), prepared(encoder, freeze_base=False)
    assert not any(parameter.requires_grad for parameter in frozen.training.task.model.base.parameters())
    assert all(parameter.requires_grad for parameter in joint.training.task.model.base.asv.parameters())
    for each in (frozen, joint):
        each.training.task.model.eval()
    joint.training.task.model.load_state_dict(frozen.training.task.model.state_dict())
    asked = [each.training.train.fetch(np.arange(6), seed=3, epoch=2) for each in (frozen, joint)]
    assert asked[0].sets is None
    assert asked[1].embedding is None
    said = [p.training.task.model(questions).target for p, questions in zip((frozen, joint), asked, strict=True)]
    torch.testing.assert_close(said[0], said[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["huber", "mse", "mae", "quantile"])
def test_every_loss_trains_and_predicts_in_the_targets_units(encoder: Artifact, tmp_path: Path, loss: str) -> None:
    found = prepared(encoder, loss=loss, count_weight=0.1, covariates=["diet"], head_dropout=0.0, input_dropout=0.0)
    task = found.training.task
    assert isinstance(task, PredictorTask)
    settings = PredictorSettings(**TINY, loss=loss, max_epochs=60, learning_rate=1e-2, device="cpu")
    fit(task, train=found.training.train, validation=None, settings=settings, directory=tmp_path / "run")
    said = predict_samples(task, small_table(), np.arange(6), rarefactions=2, limit=100)
    assert np.abs(said.point - np.arange(6)).mean() < 1
    assert (said.low <= said.high).all()


def test_chances_are_of_every_class_and_sum_to_one(encoder: Artifact) -> None:
    task = prepared(encoder, target="diet").training.task
    assert isinstance(task, PredictorTask)
    said = predict_samples(task, small_table(), np.arange(12), rarefactions=2, limit=100)
    assert said.said.shape == (12, 2)
    np.testing.assert_allclose(said.said.sum(1), 1, rtol=1e-5)
