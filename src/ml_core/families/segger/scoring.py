"""Run a model over tiles and put each transcript's scores back in its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ml_core.families.segger.samples import TileSamples
from ml_core.families.segger.task import SeggerTask


@dataclass(frozen=True)
class Scores:
    """Of n judged transcripts, in ascending order of the graph's rows.

    transcript [n] int64; chance [n, c] of each candidate, given the place and the gene; best [n], column of the
    highest; evidence [n] nats, at most about 0: how much worse the gene fits the best candidate than the nuclei of
    this sample that it fits best, log p(gene | nucleus) - log p(gene | its own kind). Assignment goes by chance, the
    cut by evidence: a marker of another kind of cell is strongly negative, a gene that all cells have is near 0.
    """

    transcript: np.ndarray
    chance: np.ndarray
    evidence: np.ndarray

    @property
    def best(self) -> np.ndarray:
        return self.chance.argmax(axis=1)  # type: ignore[no-any-return]


def score_tiles(
    task: SeggerTask, samples: TileSamples, *, at_once: int = 2, progress: Callable[..., Iterable[int]] | None = None
) -> Scores:
    """Judge every transcript once: its gene is hidden from the network while it is judged. Uses the CPU."""
    parts: list[dict[str, np.ndarray]] = []
    starts: Iterable[int] = range(0, len(samples), at_once)
    task.model.eval()
    with torch.no_grad():
        for start in starts if progress is None else progress(starts, what="scoring tiles"):
            indices = np.arange(start, min(start + at_once, len(samples)))
            parts.append(task.predictions(samples.fetch(indices, seed=0, epoch=0)))
    pooled = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(pooled["transcript"], kind="stable")
    chance, fit = pooled["chance"][order], pooled["fit"][order]
    return Scores(pooled["transcript"][order], chance, fit[np.arange(len(fit)), chance.argmax(axis=1)])
