from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.families.segger import biology
from ml_core.families.segger.biology import Judge, Markers, find_markers, keep_share, type_means


@pytest.fixture
def markers() -> Markers:
    """Two types with two markers each and one gene that both have."""
    reference = pd.DataFrame(
        [[5.0, 4.0, 0.0, 0.1, 3.0], [0.1, 0.0, 5.0, 4.0, 3.0]],
        index=["a", "b"],
        columns=["a1", "a2", "b1", "b2", "both"],
    )
    return find_markers(reference)


def judge(markers: Markers, gene: list[int], nucleus: list[int], cells: int = 2) -> Judge:
    centre = np.stack([np.arange(cells) * 100.0, np.zeros(cells)], axis=1)
    return Judge(np.array(gene), nucleus=np.array(nucleus), centre_um=centre, markers=markers)


def test_pairs_are_markers_of_different_types_that_exclude_each_other(markers: Markers) -> None:
    assert markers.marker.tolist() == [True, True, True, True, False]
    assert set(zip(markers.first.tolist(), markers.second.tolist(), strict=True)) == {(0, 2), (0, 3), (1, 2), (1, 3)}
    assert markers.foreign.tolist() == [[False, False, True, True, False], [True, True, False, False, False]]


def test_pure_cells_have_no_coexpression_and_mixed_cells_have(markers: Markers) -> None:
    gene = [0, 1, 2, 3]
    pure = judge(markers, gene, [0, 0, 1, 1]).measure(np.array([0, 0, 1, 1]))
    mixed = judge(markers, gene, [0, 0, 1, 1]).measure(np.array([0, 0, 0, 1]))
    assert pure["mecr"] == 0
    assert mixed["mecr"] == pytest.approx(np.mean([1, 0, 1, 0]))  # (a1, b1) and (a2, b1) meet in cell 0


def test_contamination_is_the_foreign_share_of_markers_in_cells_of_a_clear_type(markers: Markers) -> None:
    gene = [0] * 30 + [2] * 30 + [2] * 10
    nucleus = [0] * 30 + [1] * 30 + [-1] * 10
    seen = judge(markers, gene, nucleus)
    assert seen.cell_type.tolist() == [0, 1]
    assert seen.measure(np.array([0] * 30 + [1] * 30 + [0] * 10))["contamination"] == pytest.approx(10 / 70)
    assert seen.measure(np.array([0] * 30 + [1] * 30 + [1] * 10))["contamination"] == 0


def test_bootstrap_over_blocks_surrounds_the_measure_and_is_paired_by_seed(markers: Markers) -> None:
    rng = np.random.default_rng(0)
    cells = 60
    nucleus = np.repeat(np.arange(cells), 25)
    gene = np.where(nucleus % 2 == 0, rng.integers(0, 2, len(nucleus)), rng.integers(2, 4, len(nucleus)))
    gene = np.where(rng.random(len(gene)) < 0.03, 3 - gene, gene)
    seen = judge(markers, gene.tolist(), nucleus.tolist(), cells)
    draws = seen.bootstrap(nucleus, draws=400, seed=1)
    value = seen.measure(nucleus)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert low[0] < value["mecr"] < high[0]
    assert low[1] < value["contamination"] < high[1]
    assert np.array_equal(draws, seen.bootstrap(nucleus, draws=400, seed=1))


@pytest.mark.parametrize("at_once", [1, 7, 40])
def test_some_cells_at_a_time_give_what_all_at_once_give(
    markers: Markers, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """40 cells, two to a block of 60 um: seven at a time end within blocks, which stay whole."""
    rng = np.random.default_rng(3)
    nucleus, gene = rng.integers(-1, 40, 900), rng.integers(0, 5, 900)
    given, of = rng.integers(-1, 40, 900), rng.random(40) < 0.6
    centre = np.stack([np.arange(40) * 30.0, np.zeros(40)], axis=1)[rng.permutation(40)]

    def found() -> list[np.ndarray]:
        seen = Judge(gene, nucleus=nucleus, centre_um=centre, markers=markers)
        whole, part = seen.measure(given), seen.measure(given, of=of)
        return [np.array([*whole.values(), *part.values()]), seen.bootstrap(given, draws=20, seed=0)]

    expected = found()
    monkeypatch.setattr(biology, "CELLS_AT_ONCE", at_once)
    for one, other in zip(expected, found(), strict=True):
        np.testing.assert_array_equal(one, other)
    held = [set(gene[given == cell].tolist()) for cell in range(40)]
    shares = [
        sum(set(pair) <= cell for cell in held) / sum(bool(set(pair) & cell) for cell in held)
        for pair in ((0, 2), (0, 3), (1, 2), (1, 3))
    ]
    assert expected[0][0] == pytest.approx(np.mean(shares))


def test_keep_share_keeps_the_best_scored_of_all_transcripts() -> None:
    cell, score = np.array([3, 4, -1, 5]), np.array([0.1, 0.9, 9.0, 0.5])
    assert keep_share(cell, score, 0.5).tolist() == [-1, 4, -1, 5]
    assert keep_share(cell, score, 1.0).tolist() == [3, 4, -1, 5]


def test_a_gene_that_the_reference_lacks_is_no_marker(tmp_path: Path) -> None:
    path = tmp_path / "reference.parquet"
    pd.DataFrame({"cell_type": ["x", "x", "y"], "a1": [4.0, 6.0, 0.0]}).to_parquet(path)
    means = type_means(path, ["a1", "absent"])
    assert means.to_dict() == {"a1": {"x": 5.0, "y": 0.0}, "absent": {"x": 0.0, "y": 0.0}}
    assert find_markers(means).marker.tolist() == [True, False]
