"""Run a model over tiles and put each transcript's scores back in its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ml_core.families.segger.data import ROWS_AT_ONCE, release, room_for
from ml_core.families.segger.samples import TileSamples
from ml_core.families.segger.task import SeggerTask

RELEASE_EVERY = 64  # batches


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
    task: SeggerTask,
    samples: TileSamples,
    *,
    at_once: int = 2,
    only: np.ndarray | None = None,
    progress: Callable[..., Iterable[int]] | None = None,
) -> Scores:
    """Judge every transcript once: its gene is hidden from the network while it is judged. Uses the CPU.

    only [n] bool: of all of the graph's transcripts those whose scores are wanted.
    """
    parts = []
    for number, found in enumerate(score_batches(task, samples, at_once=at_once, progress=progress)):
        wanted = slice(None) if only is None else only[found[0]]
        parts.append([values[wanted] for values in found])
        if number % RELEASE_EVERY == 0:
            samples.release()
    transcript, chance, fit = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.argsort(transcript, kind="stable")
    return Scores(transcript[order], chance[order], fit[order])


def score_batches(
    task: SeggerTask, samples: TileSamples, *, at_once: int = 2, progress: Callable[..., Iterable[int]] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """transcript [r], chance [r, c] and fit [r, c] (as in `Scores`) of `at_once` tiles after the other."""
    starts: Iterable[int] = range(0, len(samples), at_once)
    task.model.eval()
    for start in starts if progress is None else progress(starts, what="scoring tiles"):
        indices = np.arange(start, min(start + at_once, len(samples)))
        with torch.no_grad():
            found = task.predictions(samples.fetch(indices, seed=0, epoch=0))
        yield found["transcript"], found["chance"], np.where(found["there"], found["fit"], np.float32(-np.inf))


def save_scores(
    directory: Path,
    batches: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    *,
    shape: tuple[int, int],
    between: Callable[[], None],
) -> int:
    """Write chance.npy and fit.npy [n, c] as the batches come, 0 and -inf where nothing was judged.

    Returns how many values are not finite that should be. `between` is called every now and then.
    """
    directory.mkdir()
    chance, fit = (room_for(shape, np.float32, directory=directory, name=name) for name in ("chance", "fit"))
    for start in range(0, len(fit), ROWS_AT_ONCE):
        fit[start : start + ROWS_AT_ONCE] = -np.inf
    bad = 0
    for number, (transcript, of_each, how_well) in enumerate(batches):
        scores = Scores(transcript, of_each, how_well)
        bad += int((~np.isfinite(scores.chance)).sum() + (~np.isfinite(scores.evidence)).sum())
        chance[transcript], fit[transcript] = of_each, how_well
        if number % RELEASE_EVERY == 0:
            release(chance, fit)
            between()
    return bad
