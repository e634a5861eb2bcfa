"""A plain PyTorch training loop that stops and goes on exactly at any optimizer step. It needs no Dagster.

This package imports nothing here, so that `ml_core.training.settings` loads without torch. A whole use:

    import numpy as np, torch
    from pathlib import Path
    from ml_core.training.settings import TrainingSettings
    from ml_core.training.task import Task
    from ml_core.training.trainer import fit

    class Line(Task):
        def __init__(self): self.model = torch.nn.Linear(1, 1)
        def counts(self, batch): return {"fit": len(batch["y"])}
        def losses(self, batch, forward): return {"fit": (forward(batch["x"]) - batch["y"]).square().mean()}
        def predictions(self, batch): return {"y": batch["y"].numpy(), "guess": self.model(batch["x"]).numpy()}
        def metrics(self, pooled): return {"mae": float(np.abs(pooled["y"] - pooled["guess"]).mean())}

    class Points:
        x = torch.linspace(-1, 1, 64)[:, None]
        def __len__(self): return 64
        def fetch(self, indices, *, seed, epoch): return {"x": self.x[indices], "y": 3 * self.x[indices] + 1}

    settings = TrainingSettings(max_epochs=20, batch_size=8, learning_rate=0.1, monitor="val_mae")
    result = fit(Line(), train=Points(), validation=Points(), settings=settings, directory=Path("runs/line"))

Calling `fit` again on the same directory goes on where an interrupted run stopped, and returns at once after a
finished one.
"""
