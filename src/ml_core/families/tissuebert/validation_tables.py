"""What the kept model says of the validation donors: figures of each tissue, and the confusion matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.canvas import save_figure
from ml_core.families.tissuebert.batches import FixedBags
from ml_core.families.tissuebert.scores import by_tissue, confusion, pooled
from ml_core.families.tissuebert.task import TissueTask


def predict_all(task: TissueTask, bags: FixedBags, *, batch_size: int) -> dict[str, np.ndarray]:
    """The task's predictions of all bags, in eval mode on the CPU."""
    task.model.to("cpu").eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(bags), batch_size):
            indices = np.arange(start, min(start + batch_size, len(bags)))
            parts.append(task.predictions(bags.fetch(indices, seed=0, epoch=0)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def tissue_rows(predictions: dict[str, np.ndarray], *, tissues: list[str]) -> list[dict[str, Any]]:
    """Per tissue: reads, their precision, recall and F1, samples, and the share of these that are named rightly."""
    of_reads = confusion(predictions["likelihood"], predictions["true"], weight=predictions["weight"])
    _, summed = pooled(predictions["likelihood"], weight=predictions["weight"], owner=predictions["sample"])
    true_of_sample = predictions["true"][np.unique(predictions["sample"], return_index=True)[1]]
    of_samples = confusion(summed, true_of_sample)
    reads, samples = by_tissue(of_reads), by_tissue(of_samples)
    return [
        {
            "tissue": name,
            "reads": int(of_reads[number].sum()),
            **{f"read_{figure}": float(values[number]) for figure, values in reads.items()},
            "samples": int(of_samples[number].sum()),
            "sample_recall": float(samples["recall"][number]),
        }
        for number, name in enumerate(tissues)
    ]


def draw_validation(task: TissueTask, predictions: dict[str, np.ndarray], path: Path) -> None:
    """The confusion matrices of reads and samples, as at each epoch."""
    save_figure(task.figures(predictions)["confusion"], path)
