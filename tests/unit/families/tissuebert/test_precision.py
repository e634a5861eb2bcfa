"""Training in bf16 ends where training in fp32 ends, within the noise of the reads that are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.families.tissuebert.model_settings import ModelSettings
from ml_core.families.tissuebert.train import prepare_on
from ml_core.families.tissuebert.validation_tables import predict_all
from ml_core.training.trainer import fit
from tests.unit.families.tissuebert.planted_model import plant, splits_of


@pytest.mark.slow
def test_bf16_and_fp32_agree_within_noise(tmp_path: Path) -> None:
    regions = plant(tmp_path)
    found, reads = {}, 0.0
    for precision in ("fp32", "bf16"):
        settings = ModelSettings(
            precision=precision,
            tissue_weight=1.0,
            dim=32,
            layers=2,
            heads=2,
            feed_dim=64,
            bag_reads=16,
            samples_per_epoch=200,
            max_epochs=4,
            device="cpu",
            tensorboard=False,
            progress_bar=False,
        )
        training = prepare_on(regions, splits_of(regions), settings=settings).training
        assert training.validation is not None
        folder = tmp_path / precision
        fit(training.task, train=training.train, validation=training.validation, settings=settings, directory=folder)
        said = predict_all(training.task, training.validation, batch_size=16)
        found[precision], reads = training.task.metrics(said), float(said["weight"].sum())
    for metric in ("read_accuracy", "tissue_head_accuracy"):
        one, other = found["fp32"][metric], found["bf16"][metric]
        assert abs(one - other) < 2 * np.sqrt(one * (1 - one) / reads), metric
    assert found["fp32"]["sample_accuracy"] == found["bf16"]["sample_accuracy"] == 1
    assert found["fp32"]["tissue_head_accuracy"] > 0.3
