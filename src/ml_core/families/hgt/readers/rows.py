"""What every reader gives: the rows of a source as numbers, and the table of their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Rows:
    """The rows of a source, in its order.

    **Shapes**, m rows, n nodes: relation [m] int16, index into relations; head and tail [m] int32, index into nodes;
    nodes [n] rows of `data.NODE_COLUMNS`, one for each node. left_out: (relation, head type, tail type) -> reason ->
    rows that are not among the m, because they are no edges. remarks: what the reader noticed.
    """

    relations: list[str]
    relation: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    nodes: pd.DataFrame
    left_out: Mapping[tuple[str, str, str], Mapping[str, int]] = field(default_factory=dict)
    remarks: Mapping[str, int | str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.relation)
