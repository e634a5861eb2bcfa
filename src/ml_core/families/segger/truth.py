"""Simulated samples know the truth: accuracy per transcript, F1 per cell."""

from __future__ import annotations

import numpy as np


def transcript_accuracy(assigned: np.ndarray, truth: np.ndarray) -> float:
    """Share of transcripts given their true cell; -1 (no cell) is right for background.

    Both [transcripts], same ids.
    """
    return float((assigned == truth).mean()) if len(truth) else float("nan")


def cell_f1(assigned: np.ndarray, truth: np.ndarray, *, least_iou: float = 0.5) -> float:
    """F1 of found cells. A predicted cell finds a true one when their transcripts have IoU >= `least_iou` (> 0.5 is
    unique).

    assigned, truth: cell of each transcript, -1 for none, [transcripts]; the two need not share ids.
    """
    predicted, predicted_sizes = np.unique(assigned[assigned >= 0], return_counts=True)
    true, true_sizes = np.unique(truth[truth >= 0], return_counts=True)
    if not len(predicted) or not len(true):
        return 0.0
    both = (assigned >= 0) & (truth >= 0)
    pair = np.searchsorted(predicted, assigned[both]) * len(true) + np.searchsorted(true, truth[both])
    pairs, shared = np.unique(pair, return_counts=True)
    row, column = np.divmod(pairs, len(true))
    iou = shared / (predicted_sizes[row] + true_sizes[column] - shared)
    found = iou >= least_iou
    matched = min(len(np.unique(row[found])), len(np.unique(column[found])))
    return 2 * matched / (len(predicted) + len(true))
