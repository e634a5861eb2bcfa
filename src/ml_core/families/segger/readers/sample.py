"""What every reader returns: one sample in micrometres, whatever the instrument called its columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ml_core.families.segger.geometry import Polygons


@dataclass(frozen=True)
class Boundaries:
    """Polygons of nuclei (`kind` "nucleus") or of whole cells ("cell"), one per id.

    dropped: polygons that were left out because their cell has a larger one (a second nucleus, another plane).
    """

    ids: list[str]
    polygons: Polygons
    kind: str
    dropped: int = 0


@dataclass(frozen=True)
class Sample:
    """All transcripts of a file in the file's order.

    **Shapes**, n rows: transcript_id [n] (integers or strings), xy [n, 2] float32 um, z [n] float32 um, feature [n]
    int32 into `features`, qv [n] float32 or None, cell [n] int32 into `cells` (-1 none) or None, in_nucleus [n] bool or
    None. schema: column -> "type in the file" of every column that was read.
    """

    platform: str
    transcript_id: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    feature: np.ndarray
    features: list[str]
    qv: np.ndarray | None = None
    cell: np.ndarray | None = None
    cells: list[str] = field(default_factory=list)
    in_nucleus: np.ndarray | None = None
    boundaries: Boundaries | None = None
    schema: dict[str, str] = field(default_factory=dict)
