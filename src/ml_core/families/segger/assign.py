"""From scores to cells, piece by piece: which candidate is chosen, whether it stays, and where the results go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.families.segger.buckets import Buckets
from ml_core.families.segger.data import FULL, ArrayFile, Graph
from ml_core.families.segger.results import (
    ASSIGNED,
    BELOW_CUT,
    CELLS_AT_ONCE,
    FILTERED,
    FRAGMENT,
    NO_CANDIDATE,
    STATES,
    Results,
    group_starts,
)
from ml_core.families.segger.scoring import best_plausible

CODE = {name: code for code, name in enumerate(STATES)}


@dataclass(frozen=True)
class Piece:
    """Transcripts `rows` of the graph: candidates, chance and fit, [r, c] each (as in `scoring.Scores`)."""

    rows: slice
    candidates: np.ndarray
    chance: np.ndarray
    fit: np.ndarray

    def column(self, *, plausible: bool, cut: float | np.ndarray) -> np.ndarray:
        """[r] which candidate is chosen."""
        if plausible:
            return best_plausible(self.chance, self.fit, cut=cut)
        return self.chance.argmax(axis=1)  # type: ignore[no-any-return]

    def at(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nucleus (-1 without one), evidence (-inf) and score (nan) [r] of the candidate in each row's `column`."""
        each, judged = np.arange(len(column)), self.candidates[:, 0] >= 0
        return (
            np.where(judged, self.candidates[each, column], np.int32(-1)),
            np.where(judged, self.fit[each, column], np.float32(-np.inf)),
            np.where(judged, self.chance[each, column], np.float32(np.nan)),
        )


def pieces(graph: Graph, scores: Path, *, at_once: int) -> Iterator[Piece]:
    """All transcripts with their scores, `at_once` at a time."""
    chance, fit = (ArrayFile.of(scores / f"{name}.npy") for name in ("chance", "fit"))
    for rows in _slices(graph, at_once):
        candidates = np.array(graph.views[FULL].candidates[rows])
        yield Piece(rows, candidates, chance.read(rows), fit.read(rows))
        graph.release()


def gene_cuts(gene: np.ndarray, evidence: np.ndarray, *, cell: np.ndarray, share: float) -> np.ndarray:
    """For each transcript the cut of its gene: the (1 - share) quantile of that gene's evidence, [n]."""
    frame = pd.DataFrame({"gene": gene, "evidence": np.where(cell >= 0, evidence, np.nan)})
    return frame.groupby("gene")["evidence"].transform(lambda values: values.quantile(1 - share)).to_numpy()


def cuts_of_genes(graph: Graph, scores: Path, *, plausible: bool, share: float, at_once: int) -> np.ndarray:
    """`gene_cuts` of the sample, [n]; of all that is done here only this holds numbers of all transcripts at once."""
    found = [
        piece.at(piece.fit.argmax(axis=1) if plausible else piece.chance.argmax(axis=1))[:2]
        for piece in pieces(graph, scores, at_once=at_once)
    ]
    cell, evidence = (np.concatenate(values) for values in zip(*found, strict=True))
    return gene_cuts(graph.gene, evidence, cell=cell, share=share)


def choose_all(
    graph: Graph, scores: Path, *, scratch: Path, cut: float | np.ndarray, plausible: bool, at_once: int
) -> np.ndarray:
    """Write cell, evidence and kept (whether it reaches the cut) [n] beside the scores, and score [n] into `scratch`.

    cut: one for all, or one for each transcript [n]. Returns which have no candidate, [n] bool.
    """
    alone = np.zeros(len(graph.rows), bool)
    for piece in pieces(graph, scores, at_once=at_once):
        of_piece = cut[piece.rows] if isinstance(cut, np.ndarray) else cut
        cell, evidence, score = piece.at(piece.column(plausible=plausible, cut=of_piece))
        kept = (cell >= 0) & (evidence >= of_piece)
        alone[piece.rows] = cell < 0
        for folder, name, values in (
            (scores, "cell", cell), (scores, "evidence", evidence), (scores, "kept", kept), (scratch, "score", score)
        ):  # fmt: skip
            path = folder / f"{name}.npy"
            if not piece.rows.start:
                ArrayFile.create(path, shape=alone.shape, dtype=values.dtype)
            ArrayFile.of(path).write(piece.rows.start, values)
    return alone


def deal_out(
    graph: Graph,
    scores: Path,
    *,
    scratch: Path,
    table: Path,
    fragment: np.ndarray,
    cell_ids: list[str],
    nuclei: int,
    at_once: int,
) -> Results:
    """Every transcript's final cell, status, score and evidence, where `results.Results` finds them.

    fragment [n], -1 for none; fragments are cells after the `nuclei`.
    """
    starts = group_starts(table)
    files = [ArrayFile.of(scores / f"{name}.npy") for name in ("cell", "evidence", "kept")]
    files.append(ArrayFile.of(scratch / "score.npy"))

    def final(rows: slice) -> tuple[np.ndarray, ...]:
        cell, evidence, kept, score = (file.read(rows) for file in files)
        part = fragment[rows]
        last = np.where(kept, cell, np.where(part >= 0, nuclei + part, np.int32(-1)))
        return cell, evidence, kept, score, part, last

    in_group = np.zeros(len(starts) - 1, np.int64)
    in_block = np.zeros(-(-len(cell_ids) // CELLS_AT_ONCE), np.int64)
    for rows in _slices(graph, at_once):
        last = final(rows)[-1]
        in_group += np.bincount(_group(graph.rows[rows], starts), minlength=len(in_group))
        in_block += np.bincount(last[last >= 0] // CELLS_AT_ONCE, minlength=len(in_block))
    counts = np.zeros(len(STATES), np.int64)
    counts[CODE[FILTERED]] = starts[-1] - len(graph.rows)
    by_row, by_cell = Buckets(scratch / "by_row", sizes=in_group), Buckets(scratch / "by_cell", sizes=in_block)
    for rows in _slices(graph, at_once):
        cell, evidence, kept, score, part, last = final(rows)
        state = np.select(
            [kept, cell >= 0, part >= 0], [CODE[ASSIGNED], CODE[BELOW_CUT], CODE[FRAGMENT]], CODE[NO_CANDIDATE]
        )
        counts += np.bincount(state, minlength=len(STATES))
        group = _group(graph.rows[rows], starts)
        by_row.deal(
            group,
            place=(graph.rows[rows] - starts[group]).astype(np.int32),
            cell=last.astype(np.int32),
            state=state,
            score=score,
            evidence=np.where(np.isfinite(evidence), evidence, np.float32(np.nan)),
        )
    states = Counter(dict(zip(STATES, counts.tolist(), strict=True)))
    results = Results(table, list(graph.genes), cell_ids, by_row, by_cell, dict((+states).most_common()))
    results.deal_to_cells()
    return results


def _group(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """[r] row group of each input row."""
    return np.searchsorted(starts, rows, side="right") - 1


def _slices(graph: Graph, at_once: int) -> Iterator[slice]:
    n = len(graph.rows)
    return (slice(start, min(start + at_once, n)) for start in range(0, n, at_once))
