"""Two epochs on ECAM's training children: distances of unseen children are learnt, and no test sample is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.artifacts import Store
from ml_core.families import get_family
from ml_core.running import run_stage


@pytest.mark.slow
def test_unifrac_of_unseen_children_is_learnt_from_ecam_alone(real_data: Path, tmp_path: Path) -> None:
    family, store = get_family("sequence"), Store(tmp_path)
    ecam = real_data / "sequence" / "ecam"
    chosen = {
        "raw": {
            "source": "path",
            "table": str(ecam / "table.biom"),
            "tree": str(ecam / "tree.nwk"),
            "metadata": str(ecam / "metadata.tsv"),
        },
        "splits": {"group_column": "studyid", "stratify_by": "month"},
        "encoder": {"max_epochs": 6, "threads": 1},
        "predictor": {"target": "month"},
        "report": {"forest": False},
    }
    for stage in family.stages:
        settings = stage.settings.parse(chosen.get(stage.name, {}), where=stage.name)
        numbers = run_stage(family, stage, settings=settings, store=store).artifact.summary.numbers
    assert numbers["split.shared_groups"] == 0
    assert numbers["pretrain.unifrac_r2"] > 0.7
    assert numbers["pretrain.masked_accuracy"] > numbers["baseline.position_majority.masked_accuracy"]
    assert numbers["test.mae"] < 0.6 * numbers["baseline.median.mae"]
    assert np.isfinite(numbers["test.mae_high"])
