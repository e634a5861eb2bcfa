"""What is promised of regions.h5: random reads, the loader, and bounded memory, in one run at a peer's size."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ml_core.families.tissuebert.bench.hdf5_reads import PEER_REGIONS, Speeds, measure, memory_gb

MILLION_SAMPLES = -(-1_000_000 // PEER_REGIONS)


@pytest.fixture(scope="module")
def speeds(tmp_path_factory: pytest.TempPathFactory) -> Speeds:
    return measure(tmp_path_factory.mktemp("bench"), samples=4, regions=PEER_REGIONS, peer_items=12)


@pytest.mark.slow
def test_random_reads_are_a_thousand_times_those_of_a_chunk_for_each_sample(speeds: Speeds) -> None:
    assert speeds.ratio >= 1000


@pytest.mark.slow
def test_the_loader_has_200_000_rows_per_second(speeds: Speeds) -> None:
    assert speeds.loader >= 200_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_a_million_rows_are_written_in_bounded_memory(tmp_path: Path) -> None:
    """Their states alone are 150 MB; twice as many samples take no more."""
    half, whole = (
        memory_gb(tmp_path / "a.h5", samples=count, regions=PEER_REGIONS)
        for count in (MILLION_SAMPLES // 2, MILLION_SAMPLES)
    )
    assert whole < 0.1
    assert whole < half + 0.02
