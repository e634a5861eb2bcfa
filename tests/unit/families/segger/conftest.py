"""A small simulated sample carried through the data stages once, and a way to run one stage by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from ml_core.artifacts import Artifact, Store
from ml_core.families.segger import graph, raw, splits, tiles, transcripts
from ml_core.families.segger.data import load_graph, load_splits, load_tiles
from ml_core.families.segger.family import FAMILY
from ml_core.families.segger.settings import (
    GraphSettings,
    RawSettings,
    SplitsSettings,
    TilesSettings,
    TranscriptsSettings,
)
from ml_core.running import StageRun, run_stage
from ml_core.settings import Settings
from ml_core.stages import failed_checks
from ml_core.summary import Summary
from tests.unit.families.segger.tiny import Tiny, in_memory, tiny_settings


@dataclass
class Stages:
    """Runs stage functions below one folder; each finds the others' directories by their names."""

    folder: Path

    def run(self, name: str, build: Callable[[StageRun], Summary], settings: Settings, *inputs: str) -> Summary:
        directory = self.folder / name
        directory.mkdir(parents=True)
        artifacts = {stage: Artifact(self.folder / stage) for stage in inputs}
        run = StageRun(settings, artifacts, directory, self.folder / "work", self.folder / "cache")
        return build(run)


def run_data_stages(stages: Stages, raw_settings: RawSettings) -> dict[str, Summary]:
    """raw to splits, with tiles small enough for a sample of some thousand transcripts."""
    return {
        "raw": stages.run("raw", raw.build, raw_settings),
        "transcripts": stages.run("transcripts", transcripts.build, TranscriptsSettings(), "raw"),
        "graph": stages.run("graph", graph.build, GraphSettings(shrunken_shares=[0.5]), "transcripts"),
        "tiles": stages.run("tiles", tiles.build, TilesSettings(halo_um=10.0), "graph"),
        "splits": stages.run("splits", splits.build, SplitsSettings(guard_um=5.0), "graph", "tiles"),
    }


@dataclass
class SimulatedSample:
    folder: Path
    summaries: dict[str, Summary]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSample:
    """120 easy cells, from raw to splits."""
    folder = tmp_path_factory.mktemp("segger")
    return SimulatedSample(folder, run_data_stages(Stages(folder), RawSettings(cells=120, genes=40)))


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A Xenium bundle of 3 cells with 4 nuclear transcripts each and 6 others, in the newer id style, as CSV."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    transcripts_table(older=False).to_csv(folder / "transcripts.csv", index=False)
    boundaries_table().to_csv(folder / "nucleus_boundaries.csv", index=False)
    return folder


CENTRES = [(0.0, 0.0), (20.0, 0.0), (0.0, 20.0)]
NAMES = ["aaaabpkj-1", "aaaacmhi-1", "aaaadnbe-1"]


def transcripts_table(*, older: bool) -> pd.DataFrame:
    rows = []
    for number, (x, y) in enumerate(CENTRES):
        for dx, dy, nuclear in [(0, 1, 1), (1, 0, 1), (0, -1, 1), (-1, 0, 1), (3, 0, 0), (9, 9, 0)]:
            mine = abs(dx) < 5
            rows.append({
                "transcript_id": 281_000_000_000_000 + len(rows),
                "cell_id": (number + 1 if mine else -1) if older else (NAMES[number] if mine else "UNASSIGNED"),
                "overlaps_nucleus": nuclear,
                "feature_name": ["EPCAM", "CD3E", "BLANK_0001"][len(rows) % 3],
                "x_location": x + dx,
                "y_location": y + dy,
                "z_location": 10.0,
                "qv": 40.0 if len(rows) != 4 else 12.0,
            })  # fmt: skip
    return pd.DataFrame(rows)


def boundaries_table() -> pd.DataFrame:
    ring = [(-2, -2), (2, -2), (2, 2), (-2, 2), (-2, -2)]
    return pd.DataFrame(
        [(name, x + dx, y + dy) for name, (x, y) in zip(NAMES, CENTRES, strict=True) for dx, dy in ring],
        columns=["cell_id", "vertex_x", "vertex_y"],
    )


# ---- the model half: the sample of tiny.py, from raw to splits, and once from there to the report


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    store, artifacts = Store(tmp_path_factory.mktemp("tiny")), {}
    for stage in ("raw", "transcripts", "graph", "tiles", "splits"):
        outcome = run_stage(FAMILY, FAMILY[stage], settings=tiny_settings(stage), store=store)
        assert failed_checks(FAMILY[stage], outcome.artifact) == []
        artifacts[stage] = outcome.artifact
    loaded = (load_graph(artifacts["graph"].directory), load_tiles(artifacts["tiles"].directory))
    splits = load_splits(artifacts["splits"].directory)
    return Tiny(store, artifacts, *(in_memory(each) for each in (*loaded, splits)))


@pytest.fixture(scope="session")
def finished(tiny: Tiny) -> dict[str, Artifact]:
    """Every stage's artifact after a short training."""
    artifacts = dict(tiny.artifacts)
    for stage in ("model", "predictions", "report"):
        outcome = run_stage(FAMILY, FAMILY[stage], settings=tiny_settings(stage), store=tiny.store)
        assert failed_checks(FAMILY[stage], outcome.artifact) == []
        artifacts[stage] = outcome.artifact
    return artifacts
