"""From simulated files to the page: what the report says is what the stages left, and nothing is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml_core.artifacts import Artifact
from ml_core.families.tissuebert.family import FAMILY
from ml_core.families.tissuebert.hdf5 import open_regions
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.report import TOLERATED
from ml_core.report import cell
from ml_core.stages import failed_checks
from tests.unit.families.tissuebert.conftest import Finished

NAMES = (
    "test.sample_accuracy",
    "test.region_accuracy",
    "test.region_ceiling",
    "baseline.logistic.sample_accuracy",
    "baseline.naive_bayes.sample_accuracy",
    "mixtures.depth_5.mae",
    "baseline.nnls.depth_5.mae",
    "baseline.em.depth_5.mae",
    "calibration.ece",
    "interval.coverage",
    "split.shared_donors",
)


@pytest.fixture
def report(finished: Finished) -> Artifact:
    return finished.made["report"]


def test_every_stage_passes_its_blocking_checks_and_draws_its_figures(finished: Finished) -> None:
    for stage, artifact in finished.made.items():
        assert failed_checks(FAMILY[stage], artifact) == []
        assert all((artifact.directory / path).is_file() for path in artifact.summary.figures.values())


def test_every_promised_number_is_there(report: Artifact) -> None:
    metrics = json.loads(report.path("metrics.json").read_text())
    assert {name: metrics[name] for name in NAMES if not np.isfinite(metrics[name])} == {}
    assert metrics["split.shared_donors"] == 0
    assert metrics["ablation.without_dna.sample_accuracy"] is not None


def test_a_region_is_shown_beside_what_anyone_could_make_of_it(report: Artifact) -> None:
    numbers = report.summary.numbers
    assert 0.25 < numbers["test.read_ceiling"] <= numbers["test.region_ceiling"] < 1
    assert numbers["test.region_accuracy"] <= numbers["test.region_ceiling"] + TOLERATED
    page = report.path("report.md").read_text()
    shown = next(line for line in page.splitlines() if line.startswith("| best possible guess"))
    assert cell(numbers["test.region_ceiling"]) in shown


def test_the_table_of_tissues_counts_donors_and_samples(finished: Finished, report: Artifact) -> None:
    regions = open_regions(finished.made["regions"].path(FILE))
    rows = report.summary.tables["Tissues"]
    assert [row["tissue"] for row in rows] == list(regions.tissues["name"])
    for row in rows:
        dealt = sum(row[f"{split} donors"] for split in ("train", "validation", "test"))
        assert dealt == regions.samples.loc[regions.samples["tissue"] == row["tissue"], "donor"].nunique()
    assert sum(row["test samples"] for row in rows) == report.summary.numbers["test.samples"]


def test_the_model_is_asked_with_and_without_dna(report: Artifact) -> None:
    with_dna, without = report.summary.tables["Without DNA"]
    assert (with_dna["DNA"], without["DNA"]) == ("with", "without")
    assert with_dna["cross entropy of a read"] != without["cross entropy of a read"]
    assert with_dna["sample accuracy"] == report.summary.numbers["test.sample_accuracy"]


def test_figures_and_source_of_the_sequence_are_on_the_page(report: Artifact) -> None:
    page = report.path("report.md").read_text()
    assert "sequence_source: fasta" in page
    for title, path in report.summary.figures.items():
        assert report.path(path).stat().st_size > 1000
        assert path in page, title
