"""The four tests of a segmentation, each for the model and for its baselines on the same transcripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, precision_recall_curve

from ml_core.families.segger import baselines
from ml_core.families.segger.biology import Judge, find_markers, keep_share
from ml_core.families.segger.data import FULL, ROWS_AT_ONCE, SPLITS, Graph, Splits
from ml_core.families.segger.expression import Profiles, sparse_counts
from ml_core.families.segger.ring import ring_metrics
from ml_core.families.segger.scoring import Scores, best_plausible
from ml_core.families.segger.truth import cell_f1, transcript_accuracy

WEIGHTS_AT_ONCE = 8_000_000  # of draws and nuclei, which bounds the memory of a bootstrap
MODEL, PLAUSIBLE = "model", "model_plausible"
RIVALS = ("nearest_polygon", "nearest_centroid", "likelihood")


def prefix_of(method: str) -> str:
    """What stands before a method's figures in metrics.json."""
    return {MODEL: "", PLAUSIBLE: "plausible."}.get(method, f"baseline.{method}.")


def gain_numbers(measure: str, rival: str, interval: tuple[float, float]) -> dict[str, float]:
    """The 95 % interval of the model's `measure` less a rival's, as metrics.json has it."""
    return {f"{measure}_gain_on_{rival}_{end}": value for end, value in zip(("low", "high"), interval, strict=True)}


@dataclass(frozen=True)
class Assignment:
    """A method's nucleus for each kept transcript (-1 none), and the score by which it would leave some out, [n]."""

    cell: np.ndarray
    score: np.ndarray

    def at_share(self, share: float) -> np.ndarray:
        """The assignment that keeps the best-scored `share` of all kept transcripts."""
        return keep_share(self.cell, self.score, share)


@dataclass(frozen=True)
class PlausibleAssignment(Assignment):
    """The most probable nucleus among those that the gene fits: the share decides the cut, and so who is plausible.

    `score` is the best fit of all candidates; candidates, chance, fit: [n, c].
    """

    candidates: np.ndarray
    chance: np.ndarray
    fit: np.ndarray

    @classmethod
    def of(cls, candidates: np.ndarray, chance: np.ndarray, fit: np.ndarray) -> PlausibleAssignment:
        return cls(_best_of(candidates, chance, fit, cut=-np.inf), fit.max(axis=1), candidates, chance, fit)

    def at_share(self, share: float) -> np.ndarray:
        kept = keep_share(self.cell, self.score, share)
        cut = self.score[kept >= 0].min() if (kept >= 0).any() else np.inf
        return np.where(kept >= 0, _best_of(self.candidates, self.chance, self.fit, cut=cut), np.int32(-1))


def _best_of(candidates: np.ndarray, chance: np.ndarray, fit: np.ndarray, *, cut: float) -> np.ndarray:
    """The most probable of the nuclei that fit, [n], found for some rows at a time."""
    found = np.empty(len(candidates), candidates.dtype)
    for rows in pieces_of(len(candidates)):
        column = best_plausible(chance[rows], fit[rows], cut=cut)
        found[rows] = candidates[rows][np.arange(len(column)), column]
    return found


def pieces_of(n: int) -> Iterator[slice]:
    """All rows, some at a time: what is worked out of them needs several times their own memory."""
    return (slice(start, min(start + ROWS_AT_ONCE, n)) for start in range(0, n, ROWS_AT_ONCE))


def smoothed_profiles(graph: Graph, view: str, *, directory: Path | None = None) -> Profiles:
    """What the baseline by likelihood knows in one view: pooled counts of labelled transcripts."""
    seen = graph.views[view]
    size = {"nuclei": len(seen.polygons), "genes": len(graph.genes)}
    counts = sparse_counts(graph.nucleus, graph.gene, labelled=seen.labelled, **size)
    return baselines.smoothed(counts, directory=directory)


def baseline_scores(
    graph: Graph, view: str, *, rows: slice | np.ndarray = slice(None), profiles: Profiles | None = None
) -> dict[str, np.ndarray]:
    """Scores [r, k] of nearest polygon, nearest centroid and likelihood in one view; profiles: `smoothed_profiles`."""
    seen, known = graph.views[view], profiles or smoothed_profiles(graph, view)
    candidates, distance = np.asarray(seen.candidates[rows]), np.asarray(seen.distance[rows])
    offset = seen.centroids[candidates.clip(0)] - np.asarray(graph.xy[rows])[:, None]
    return {
        "nearest_polygon": baselines.nearest_polygon(distance),
        "nearest_centroid": baselines.nearest_centroid(offset),
        "likelihood": baselines.likelihood(np.asarray(graph.gene[rows]), candidates, distance, profiles=known),
    }


def baseline_assignments(graph: Graph, view: str, *, profiles: Profiles) -> dict[str, Assignment]:
    """The best candidate of every transcript by each of these scores."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for rows in pieces_of(len(graph.rows)):
        candidates = np.asarray(graph.views[view].candidates[rows])
        for name, score in baseline_scores(graph, view, rows=rows, profiles=profiles).items():
            found.setdefault(name, []).append(baselines.best_candidate(candidates, score))
    return {name: Assignment(*map(np.concatenate, zip(*parts, strict=True))) for name, parts in found.items()}


# ---------------------------------------------------------------- 1. simulated truth


def truth_numbers(cell: np.ndarray, *, truth: np.ndarray, true_cell: np.ndarray) -> dict[str, float]:
    """Accuracy and F1 of an assignment [n]; truth [n]: the true cell's nucleus, -1 for background."""
    return {
        "transcript_accuracy": transcript_accuracy(cell, truth),
        "cell_f1": cell_f1(cell, true_cell),
    }


def accuracy_gain(
    ours: np.ndarray, theirs: np.ndarray, *, truth: np.ndarray, xy: np.ndarray, block_um: float, draws: int
) -> tuple[float, float]:
    """95 % interval of what an assignment's accuracy is above another's [n], by bootstrap over blocks of xy [n, 2]."""
    block = np.unique((xy // block_um).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    return mean_interval((ours == truth).astype(float) - (theirs == truth), of=block, draws=draws)


# ---------------------------------------------------------------- 2. the ring test


@dataclass(frozen=True)
class Ring:
    """Held-out nuclear transcripts: rows [r] of the graph, truth [r], candidates [r, k], scores by method [r, k]."""

    rows: np.ndarray
    truth: np.ndarray
    candidates: np.ndarray
    scores: dict[str, np.ndarray]

    def of(self, chosen: np.ndarray) -> Ring:
        scores = {name: score[chosen] for name, score in self.scores.items()}
        return Ring(self.rows[chosen], self.truth[chosen], self.candidates[chosen], scores)

    def metrics(self) -> dict[str, dict[str, float]]:
        return {name: ring_metrics(self.candidates, score, self.truth) for name, score in self.scores.items()}


def ring_of(graph: Graph, *, view: str, scores: Scores, profiles: Profiles | None = None) -> Ring:
    """All ring transcripts with the model's and the baselines' scores for the same candidates."""
    rows = np.flatnonzero(graph.held_out(view))
    candidates = np.asarray(graph.views[view].candidates[rows])
    chance = np.zeros(candidates.shape, np.float32)
    place = np.searchsorted(scores.transcript, rows)
    judged = np.append(scores.transcript, -1)[place] == rows
    chance[judged] = scores.chance[place[judged]]
    methods = {MODEL: chance, **baseline_scores(graph, view, rows=rows, profiles=profiles)}
    return Ring(rows, graph.nucleus[rows].astype(np.int64), candidates, methods)


def in_split(splits: Splits, rows: np.ndarray, split: str) -> np.ndarray:
    """Which of the rows lie in a split and outside its guard band, [rows] bool."""
    return np.asarray((splits.transcript[rows] == SPLITS.index(split)) & splits.supervised[rows])


def f1_at_validation_threshold(test: Ring, validation: Ring) -> float:
    """F1 over the candidates of the test blocks, at the threshold that is best on the validation blocks."""
    right, score = _pairs(validation)
    if not len(right) or not right.any() or not len(test.rows):
        return float("nan")
    precision, recall, thresholds = precision_recall_curve(right, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    threshold = thresholds[min(int(f1.argmax()), len(thresholds) - 1)]
    right, score = _pairs(test)
    return float(f1_score(right, score >= threshold))


def top1_interval(
    ring: Ring, *, method: str, against: str | None = None, draws: int, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a method's top-1, or of its difference to another's, by bootstrap over nuclei."""
    gain = _right(ring, method).astype(float) if len(ring.rows) else np.zeros(0)
    if against is not None and len(ring.rows):
        gain -= _right(ring, against)
    return mean_interval(gain, of=ring.truth, draws=draws, seed=seed)


def mean_interval(values: np.ndarray, *, of: np.ndarray, draws: int, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of values [n], by bootstrap over the groups `of` [n] int; NaN without any."""
    groups, place = np.unique(of, return_inverse=True)
    if not len(groups):
        return float("nan"), float("nan")
    total, count = np.bincount(place, values), np.bincount(place)
    rng, even, means = np.random.default_rng(seed), np.full(len(groups), 1 / len(groups)), []
    at_once = max(1, WEIGHTS_AT_ONCE // len(groups))
    for start in range(0, draws, at_once):  # the same draws as all at once: each row follows the one before
        weight = rng.multinomial(len(groups), even, size=min(at_once, draws - start))
        means.append((weight @ total) / (weight @ count))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def calibration(ring: Ring, bins: int = 10) -> tuple[pd.DataFrame, float]:
    """Share of right answers by the model's chance of its best candidate, and the expected calibration error."""
    chance = ring.scores[MODEL].max(axis=1)
    edge = np.minimum((chance * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": edge, "chance": chance, "right": _right(ring, MODEL)})
    grouped = table.groupby("bin").agg(
        chance=("chance", "mean"), right=("right", "mean"), transcripts=("right", "size")
    )
    error = (grouped["chance"] - grouped["right"]).abs() * grouped["transcripts"]
    return grouped.reset_index(), float(error.sum() / max(len(table), 1))


def _right(ring: Ring, method: str) -> np.ndarray:
    return baselines.best_candidate(ring.candidates, ring.scores[method])[0] == ring.truth  # type: ignore[no-any-return]


def _pairs(ring: Ring) -> tuple[np.ndarray, np.ndarray]:
    there = ring.candidates >= 0
    return (ring.candidates == ring.truth[:, None])[there], ring.scores[MODEL][there]


# ---------------------------------------------------------------- 3. biology


def judge_of(graph: Graph, reference: pd.DataFrame, *, block_um: float) -> Judge:
    """Who judges MECR and contamination: the reference's markers, and the cells' types by their nuclear transcripts."""
    full = graph.views[FULL]
    return Judge(
        np.asarray(graph.gene),
        nucleus=np.asarray(graph.nucleus),
        centre_um=np.asarray(full.centroids),
        markers=find_markers(reference),
        block_um=block_um,
    )


def biology_curve(judge: Judge, assignment: Assignment, *, shares: list[float], draws: int) -> list[dict[str, float]]:
    """MECR and contamination with 95 % intervals at each share that the method reaches, and at all that it assigns."""
    most = float((assignment.cell >= 0).mean())
    rows = []
    for share in [*sorted(share for share in shares if share < most), most]:
        kept = assignment.at_share(share)
        low, high = np.nanquantile(judge.bootstrap(kept, draws=draws, seed=0), [0.025, 0.975], axis=0)
        measured = judge.measure(kept)
        row = {"share": share}
        for place, name in enumerate(("mecr", "contamination")):
            row |= {name: measured[name], f"{name}_low": float(low[place]), f"{name}_high": float(high[place])}
        rows.append(row)
    return rows


def biology_at(judge: Judge, assignment: Assignment, share: float, *, of: np.ndarray | None = None) -> dict[str, float]:
    """MECR and contamination at one share; NaN where the method assigns fewer. `of` [cells] restricts the cells."""
    if (assignment.cell >= 0).mean() < share - 1e-9:
        return {"mecr": float("nan"), "contamination": float("nan")}
    return judge.measure(assignment.at_share(share), of=of)


def gain_interval(
    judge: Judge, ours: Assignment, theirs: Assignment, *, share: float, draws: int
) -> dict[str, tuple[float, float]]:
    """95 % interval of ours - theirs in MECR and contamination, block by block the same draws."""
    difference = [judge.bootstrap(each.at_share(share), draws=draws, seed=0) for each in (ours, theirs)]
    low, high = np.nanquantile(difference[0] - difference[1], [0.025, 0.975], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(("mecr", "contamination"))}


# ---------------------------------------------------------------- 4. agreement


def agreement(assignment: Assignment, *, vendor: np.ndarray, nuclear: np.ndarray) -> dict[str, float]:
    """Share of the vendor's assigned transcripts that are given the same nucleus, nuclear and cytoplasmic apart."""
    told = vendor >= 0
    same = assignment.cell == vendor

    def share(rows: np.ndarray) -> float:
        return float(same[rows].mean()) if rows.any() else float("nan")

    return {"nuclear": share(told & nuclear), "cytoplasmic": share(told & ~nuclear)}
