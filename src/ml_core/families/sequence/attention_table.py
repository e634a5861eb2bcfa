"""Which ASVs the sample transformer looks at, and which clades they belong to."""

from __future__ import annotations

import numpy as np
import torch

from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.model import embed_asvs, embed_samples
from ml_core.families.sequence.predictor_task import PredictorTask
from ml_core.families.sequence.tokens import tokenize
from ml_core.summary import Number

NAMED = 3  # clades of an ASV
SHOWN_BP = 40


@torch.no_grad()
def attention_table(task: PredictorTask, table: SampleTable, rows: np.ndarray, *, most: int) -> list[dict[str, Number]]:
    """The `most` ASVs with the greatest summed attention over these samples, with their reads, and the learned clades
    that they are most of, by number."""
    base = task.model.base
    counts = table.counts[rows].tocsr()
    used = np.unique(counts.indices)
    asvs = embed_asvs(base, tokenize(table.sequences[used], max_bp=base.max_bp))
    mine = counts[:, used].tocsr()
    summed = np.zeros(len(used))
    first = 0
    for part in embed_samples(base, mine, asvs, limit=counts.shape[1]):
        for row, weights in enumerate(part.attention.numpy(), start=first):
            columns = mine.indices[mine.indptr[row] : mine.indptr[row + 1]]
            summed[columns] += weights[: len(columns)]
        first += len(part.attention)
    member = torch.sigmoid(base.sample.clade(asvs)).numpy()
    samples, reads = (np.asarray(each.sum(0)).ravel() for each in (mine > 0, mine))
    return [
        {
            "ASV": str(table.sequences[used[asv]])[:SHOWN_BP],
            "attention": float(summed[asv] / len(rows)),
            "samples": int(samples[asv]),
            "reads": int(reads[asv]),
            "clades": ", ".join(str(clade) for clade in np.argsort(-member[asv])[:NAMED]),
        }
        for asv in np.argsort(-summed)[:most]
    ]
