"""Categories that are known of a sample beside its reads, and how they change what the reads say."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.targets import as_text

EMBEDDING_DIM = 8


def categories_of(table: SampleTable, rows: np.ndarray, columns: list[str]) -> dict[str, list[str]]:
    """The categories of each column among these training samples, sorted; UserError where the column is absent."""
    found = {}
    for column in columns:
        values = table.column(column, setting="predictor.covariates").iloc[rows].dropna()
        found[column] = sorted(set(as_text(values)))
    return found


def encode_covariates(table: SampleTable, rows: np.ndarray, categories: dict[str, list[str]]) -> np.ndarray:
    """int64 [n, columns]; 0 is a category that training did not have, or none."""
    codes = np.zeros((len(rows), len(categories)), np.int64)
    for place, (column, known) in enumerate(categories.items()):
        number = {name: code for code, name in enumerate(known, start=1)}
        values = table.column(column, setting="predictor.covariates").iloc[rows]
        codes[:, place] = [number.get(name, 0) for name in as_text(values)]
    return codes


class GatedFusion(nn.Module):
    """The categories open or close each channel of the sample's embedding, and add what they say themselves.

    It begins as the identity, so that covariates must earn their influence.
    """

    def __init__(self, width: int, categories: dict[str, list[str]]) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(1 + len(each), EMBEDDING_DIM) for each in categories.values())
        self.gate = nn.Linear(EMBEDDING_DIM * len(categories), width)
        self.add = nn.Linear(EMBEDDING_DIM * len(categories), width)
        for each in (self.gate, self.add):
            nn.init.zeros_(each.weight)
            nn.init.zeros_(each.bias)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """x [n, width], codes [n, columns] -> [n, width]."""
        said = torch.cat([layer(codes[:, place]) for place, layer in enumerate(self.embeddings)], dim=1)
        return x * 2 * torch.sigmoid(self.gate(said)) + self.add(said)
