"""Settings at their edges go through every stage, from the simulator to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_core import __main__ as shell
from tests.unit.families.segger.tiny import as_arguments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SMALL = [part for stage in ("raw", "graph", "tiles", "splits", "report") for part in as_arguments(stage)]
EDGES = [
    ["graph.k_bd=1"],
    ["graph.k_tx=1", "graph.k_context=1"],
    ["graph.dist_bd_um=0.5"],
    ["raw.genes=4", "raw.cell_types=2"],
    ["raw.transcripts_per_cell=6"],
    ["raw.preset=hard"],
    ["tiles.min_tiles=3"],
    ["transcripts.nuclei=derived_hull"],
    ["model.num_mid_layers=0"],
    ["model.full_view_share=0"],
    ["model.share_assigned=1"],
    ["model.link_loss=triplet", "model.gene_weight=0"],
    ["model.link_loss=focal", "model.inner_weight=0"],
    ["model.monitor=val_auroc", "model.monitor_mode=max"],
    ["model.validate_every_epochs=5"],
    ["model.accumulate_batches=3", "model.num_workers=2"],
    ["predictions.gene_cut=true", "predictions.folds=7"],
    ["report.shares=[]"],
]


@pytest.mark.parametrize("edge", EDGES, ids=[" ".join(edge) for edge in EDGES])
def test_settings_at_an_edge_go_through_every_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edge: list[str]
) -> None:
    model = as_arguments("model", max_epochs=1)
    changes = [part for field in edge for part in ("--set", field)]
    code = shell.main(["run", "segger", "--data", str(tmp_path), *SMALL, *model, *changes])
    out, error = capsys.readouterr()
    assert code == 0, out + error
    metrics = json.loads((tmp_path / "artifacts/segger/report/current/metrics.json").read_text())
    assert metrics["predictions.input_rows"] == metrics["predictions.output_rows"] > 100


def test_a_sample_too_small_to_be_split_fails_a_check_and_no_stage_behind_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.main(["run", "segger", "--data", str(tmp_path), *SMALL, "--set", "raw.cells=4"]) == 1
    assert "FAILED all_splits_supervised" in capsys.readouterr().out
    assert not (tmp_path / "artifacts/segger/model").exists()
