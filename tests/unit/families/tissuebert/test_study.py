"""The whole of a small study: choosing on validation donors, then intervals and limits on test donors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.assess import (
    assess,
    detection,
    detection_table,
)
from ml_core.families.tissuebert.detection import limit_of_blank, limit_of_detection
from ml_core.families.tissuebert.donors import DonorSplits
from ml_core.families.tissuebert.gate import limits
from ml_core.families.tissuebert.missing import learn_curve, missing, missing_error, mixtures_lacking
from ml_core.families.tissuebert.mixtures import prepare
from ml_core.families.tissuebert.report_settings import MixturesSettings
from ml_core.families.tissuebert.study import Study, choose, load_learnt, save_study, with_intervals
from tests.unit.families.tissuebert.planted import plant_atlas, plant_regions

SETTINGS = MixturesSettings(
    depths=[20],
    cfdna=24,
    dirichlet=16,
    validation=24,
    concentrations=[1.0, 0.1],
    grid_fractions=[0.01, 0.1, 0.2],
    grid_depths=[20],
    blanks=6,
    missing_fractions=[0.0, 0.05, 0.1, 0.2],
    missing_repeats=4,
    bootstrap_draws=60,
)


@pytest.fixture(scope="module")
def study() -> Study:
    regions = plant_regions(plant_atlas(tissues=6, markers=12), donors=8, depth=40, seed=4)
    splits = DonorSplits(np.repeat([0, 1, 2], [24, 12, 12]).astype(np.int8), ())
    chosen = choose(prepare(regions, splits, settings=SETTINGS, score=None))[0]
    return with_intervals(chosen.reading(learn_curve(chosen, groups=np.arange(6))))


def test_limits_of_detection_lie_above_those_of_blank(study: Study) -> None:
    rows = detection_table(detection(study), tissues=study.tables.tissues, background=study.background)
    assert len(rows) == 5
    for row in rows:
        assert row["limit of detection"] is not None
        assert float(row["limit of detection"]) > float(row["limit of blank"] or 0)


def test_a_missing_tissue_is_counted_as_unknown(study: Study) -> None:
    rows = missing_error(missing(study, groups=np.arange(6)))
    assert [row["true"] for row in rows] == [0.0, 0.05, 0.1, 0.2]
    for row in rows:
        assert row["found"] == pytest.approx(row["true"], abs=0.03)


def test_validation_donors_are_found_as_they_are_with_the_curve_that_they_taught(study: Study) -> None:
    rows = [
        (each.true, each.how.mixture(each.how.evidence(each.reads)).unknown)
        for each in mixtures_lacking(study, "validation", groups=np.arange(6))
    ]
    for level in (0.05, 0.1, 0.2):
        assert np.mean([found for true, found in rows if true == level]) == pytest.approx(level, abs=0.02)


def test_tissues_of_one_group_are_not_taken_out(study: Study) -> None:
    groups = np.array([0, 1, 1, 1, 1, 2])
    lost = missing(study, groups=groups)
    assert set(lost["tissue"]) <= {"tissue 0", "tissue 5"}
    assert study.tables.tissues[study.background] not in set(lost["tissue"])


def test_what_is_saved_estimates_alike(study: Study, tmp_path: Path) -> None:
    save_study(tmp_path, study, groups=np.arange(6), gate=limits(assess(replace(study, settings=SETTINGS))))
    learnt = load_learnt(tmp_path, study.panel)
    _, reads = study.like_cfdna("test", depth=20, count=1)[0]
    ours, theirs = (each.at(20).mixture(each.at(20).evidence(reads)).whole for each in (study, learnt))
    assert ours == pytest.approx(theirs)
    assert learnt.at(3).widen == study.chosen[20].widen
    assert learnt.at(3).curve == study.chosen[20].curve


def test_a_background_that_is_no_tissue_is_refused() -> None:
    regions = plant_regions(plant_atlas(tissues=3, markers=2), donors=3)
    splits = DonorSplits(np.repeat([0, 1, 2], 3).astype(np.int8), ())
    with pytest.raises(UserError, match=r"mixtures\.background is 'blood'"):
        prepare(regions, splits, settings=SETTINGS.model_copy(update={"background": "blood"}), score=None)


def test_a_limit_of_detection_needs_all_larger_shares_to_be_seen() -> None:
    fractions = np.repeat([0.01, 0.05, 0.1], 20)
    found = np.where(fractions >= 0.05, 0.04, 0.0)
    blank = float(limit_of_blank(np.linspace(0, 0.02, 101)[:, None])[0])
    assert blank == pytest.approx(0.019)
    assert limit_of_detection(blank, fractions, found) == 0.05
    found[fractions == 0.1] = 0.0
    assert np.isnan(limit_of_detection(blank, fractions, found))
