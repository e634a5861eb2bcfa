"""What a stage that trains says of its training: the epoch that was kept, and the figures that every family has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.summary import Summary
from ml_core.training.checkpoint import load_weights
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import FitResult, Row
from ml_core.usage import peak_memory_gb


def best_row(history: list[Row], *, settings: TrainingSettings) -> Row:
    """The epoch whose model was kept: the first with the best monitored value, never a NaN; the last without any."""
    sign = 1 if settings.monitor_mode == "max" else -1

    def worth(row: Row) -> float:
        value = sign * row[settings.monitor]
        return value if np.isfinite(value) else -np.inf

    judged = [row for row in history if settings.monitor in row]
    return max(judged, key=worth) if judged else history[-1]


def training_summary(directory: Path, *, result: FitResult, settings: TrainingSettings) -> Summary:
    """Headline, validation.* and train.* figures, and the check `finite`; `directory` holds the weights."""
    best, epochs = best_row(result.history, settings=settings), len(result.history)
    validated = {name: value for name, value in best.items() if name.startswith("val_")}
    summary = Summary(
        headline=f"{epochs} epochs, best {settings.monitor} {best.get(settings.monitor, float('nan')):.4f} after "
        f"{int(best['epoch'])}; stopped by {result.stop_reason} on {result.device}.",
        numbers={
            **{f"validation.{name.removeprefix('val_')}": value for name, value in validated.items()},
            "train.epochs": epochs,
            "train.best_epoch": int(best["epoch"]),
            "train.seconds": result.seconds,
            "train.cpu_seconds": result.cpu_seconds,
            "train.cpu_seconds_per_epoch": result.cpu_seconds / max(epochs, 1),
            "train.peak_memory_gb": peak_memory_gb(),
            "train.precision": result.precision,
            "train.device": f"{result.device}: {result.device_reason}",
            "train.parameters": sum(tensor.numel() for tensor in load_weights(directory).values()),
            "train.resumed_from": str(result.resumed_from) if result.resumed_from else None,
        },
    )
    finite = all(np.isfinite(row["train_loss"]) for row in result.history)
    summary.check("finite", finite, f"training losses of {epochs} epochs {'are' if finite else 'are not'} all finite.")
    return summary
