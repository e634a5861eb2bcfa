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
    highest; fit [n, c] nats, at most about 0: how much worse the gene fits that candidate than the nuclei of this
    sample that it fits best, log p(gene | nucleus) - log p(gene | its own kind), -inf where there is no candidate;
    evidence [n], the fit of the best. Assignment goes by chance, the cut by fit: a marker of another kind of cell is
    strongly negative, a gene that all cells have is near 0.
    """

    transcript: np.ndarray
    chance: np.ndarray
    fit: np.ndarray

    @property
    def best(self) -> np.ndarray:
        return self.chance.argmax(axis=1)  # type: ignore[no-any-return]

    @property
    def evidence(self) -> np.ndarray:
        return self.fit[np.arange(len(self.fit)), self.best]  # type: ignore[no-any-return]


def best_plausible(chance: np.ndarray, fit: np.ndarray, *, cut: float | np.ndarray) -> np.ndarray:
    """Column of the most probable candidate among those whose fit reaches `cut` (one, or one for each transcript), [n].

    Where none does, the most probable of all.
    """
    plausible = fit >= np.broadcast_to(cut, len(fit))[:, None]
    some = plausible.any(axis=1)[:, None]
    return np.where(plausible | ~some, chance, -1.0).argmax(axis=1)  # type: ignore[no-any-return]


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
    fit = np.where(pooled["there"], pooled["fit"], -np.inf)[order]
    return Scores(pooled["transcript"][order], pooled["chance"][order], fit)
