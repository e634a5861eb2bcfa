"""The ring test: real transcripts whose cell the stain knows, hidden from everything, must find their nucleus.

Each nucleus is shrunk to the hull of its inner half; the outer half is the ring. Labels come from the stain, not from
the expansion of nuclei by distance, so that agreement with geometry alone is no proof.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score


def ring_metrics(candidate: np.ndarray, score: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Top-1, AUROC and average precision over the candidates of ring transcripts, pooled.

    candidate: shrunk nuclei, -1 pad, [ring, candidates]. score: the same shape. truth: own nucleus, [ring]. A
    transcript whose nucleus is not among its candidates counts as wrong in top-1.
    """
    there = candidate >= 0
    if not there.any():
        return {"top1": float("nan"), "auroc": float("nan"), "average_precision": float("nan"), "transcripts": 0}
    score = np.where(there, score, -np.inf)
    best = candidate[np.arange(len(candidate)), score.argmax(axis=1)]
    own = (candidate == truth[:, None])[there]
    return {
        "top1": float((best == truth).mean()),
        "auroc": float(roc_auc_score(own, score[there])) if 0 < own.sum() < len(own) else float("nan"),
        "average_precision": float(average_precision_score(own, score[there])) if own.any() else float("nan"),
        "transcripts": len(truth),
    }
