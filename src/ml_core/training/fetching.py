"""How a run fetches its batches."""

from __future__ import annotations

from ml_core.data.loader import Loader
from ml_core.training.machine import Machine
from ml_core.training.settings import TrainingSettings
from ml_core.training.task import Samples


def loader_of(samples: Samples, settings: TrainingSettings, machine: Machine) -> Loader:
    """A loader with the workers that the settings ask for."""
    return Loader(
        samples,
        seed=settings.seed,
        num_workers=settings.num_workers,
        pin_memory=settings.pin_memory and machine.device.type == "cuda",
        persistent_workers=settings.persistent_workers,
        prefetch_factor=settings.prefetch_factor,
    )
