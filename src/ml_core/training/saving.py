"""What a run leaves on disk, and when it is time: the checkpoint from which `start.begin` goes on."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from ml_core.training.checkpoint import Checkpoint, CheckpointStore, Roles, cpu_copies
from ml_core.training.generators import capture_generators
from ml_core.training.machine import Machine
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row, TrainState


class Saving:
    """Writes a run's checkpoints and knows which state is on disk (`saved`)."""

    def __init__(
        self,
        store: CheckpointStore,
        *,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        machine: Machine,
        settings: TrainingSettings,
        identity: dict[str, Any],
        state: TrainState,
    ) -> None:
        self.saved = state
        self._store, self._model, self._optimizer = store, model, optimizer
        self._machine, self._settings, self._identity = machine, settings, identity
        self._saved_at = time.perf_counter()

    def late(self, state: TrainState) -> bool:
        """Whether it is time to save `state`, by the clock of the rank that leads."""
        late = time.perf_counter() - self._saved_at > 60 * self._settings.checkpoint_every_minutes
        return late and self._machine.processes.leads and self.saved is not state

    def save(self, state: TrainState, history: list[Row], roles: Roles) -> None:
        """Write a checkpoint. `saved` is `state` from the moment when it is on disk, even if something fails then.

        Every rank must call it: each has generators of its own. The first one writes.
        """
        checkpoint = self._compose(state, history)
        name = f"epoch-{state.epoch:04d}-sample-{state.position:09d}"
        try:
            if self._machine.processes.leads:
                self._store.save(name, checkpoint, roles)
        finally:
            if self._store.index.last == name or not self._machine.processes.leads:
                self.saved, self._saved_at = state, time.perf_counter()

    def _compose(self, state: TrainState, history: list[Row]) -> Checkpoint:
        machine, scaler = self._machine, self._machine.precision.scaler
        training = {
            "optimizer": self._optimizer.state_dict(),
            "scaler": {} if scaler is None else scaler.state_dict(),
            "generators": machine.processes.gather(capture_generators(machine.device)),
        }
        record = {
            "state": asdict(state),
            "history": _with_null(history),
            "identity": self._identity,
            "settings": self._settings.model_dump(mode="json"),
            "device": str(machine.device),
            "precision": machine.precision.name,
        }
        return Checkpoint(cpu_copies(self._model.state_dict()), training, record)


def _with_null(history: list[Row]) -> list[dict[str, float | None]]:
    """Rows with NaN and infinities as null, which JSON can hold."""
    return [{name: value if math.isfinite(value) else None for name, value in row.items()} for row in history]
