"""What the panel stage leaves on disk: regions with their windows, tissues, samples, and the deal of donors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

ARRAYS = ("dna_tokens", "cpg_position", "n_cpg", "information")


@dataclass(frozen=True)
class Panel:
    """Regions and samples, in the order that regions.h5 has them.

    Frames: regions, tissues as in `hdf5.Regions`; samples (file, name, donor, tissue, coverage, synthetic, kind).
    **Shapes**: dna_tokens [regions, 150] uint8; cpg_position [regions, most CpGs] uint8, 255 behind the last; n_cpg
    [regions] uint8; information [regions, tissues] float64, bits that a fragment's class tells of "this tissue or
    another" in the training donors (NaN where it was not looked at).
    """

    regions: pd.DataFrame
    tissues: pd.DataFrame
    samples: pd.DataFrame
    dna_tokens: np.ndarray
    cpg_position: np.ndarray
    n_cpg: np.ndarray
    information: np.ndarray
    build: str
    sequence_source: str
    cpgs: int

    def __len__(self) -> int:
        return len(self.n_cpg)

    @cached_property
    def digest(self) -> str:
        """sha256 of what makes rows comparable: windows, their CpGs and the build."""
        text = self.regions[["chromosome", "start", "end", "start_cpg", "end_cpg"]].to_csv(index=False) + self.build
        found = hashlib.sha256(text.encode())
        for name in ("dna_tokens", "cpg_position", "n_cpg"):
            found.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return found.hexdigest()


def save_panel(directory: Path, panel: Panel) -> None:
    """Write regions, tissues and samples as Parquet, panel.npz and panel.json."""
    for name in ("regions", "tissues", "samples"):
        getattr(panel, name).to_parquet(directory / f"{name}.parquet", index=False)
    np.savez(directory / "panel.npz", **{name: getattr(panel, name) for name in ARRAYS})
    described = {name: getattr(panel, name) for name in ("build", "sequence_source", "cpgs", "digest")}
    (directory / "panel.json").write_text(json.dumps(described) + "\n")


def load_panel(directory: Path) -> Panel:
    """The panel stage's artifact."""
    described = json.loads((directory / "panel.json").read_text())
    described.pop("digest")
    frames = {name: pd.read_parquet(directory / f"{name}.parquet") for name in ("regions", "tissues", "samples")}
    with np.load(directory / "panel.npz") as arrays:
        return Panel(**frames, **{name: arrays[name] for name in ARRAYS}, **described)
