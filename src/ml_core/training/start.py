"""Where a run begins: at its own checkpoint, else at another model's weights, else from scratch."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from torch import nn

from ml_core.errors import UserError
from ml_core.settings import differences
from ml_core.training.checkpoint import CheckpointStore
from ml_core.training.generators import restore_generators, seed_rank
from ml_core.training.initial import start_from
from ml_core.training.machine import Machine
from ml_core.training.optimizer import TrainedParts
from ml_core.training.settings import TrainingSettings
from ml_core.training.state import Row, TrainState

log = logging.getLogger("ml_core.training")


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Keep a second process from training in the same directory. The system lifts the lock when a process dies.

    Raises UserError if there is one already.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(directory / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise UserError(
            f"{directory}: another process is training here; wait for it, or choose another directory."
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Start:
    """The state to go on from, the epochs before it, and the checkpoint that it came from."""

    state: TrainState
    history: list[Row]
    resumed_from: Path | None


def identify(
    model: nn.Module, settings: TrainingSettings, sizes: dict[str, int], extra: dict[str, Any] | None
) -> dict[str, Any]:
    """What must stay the same when a run goes on: settings that affect the result, tensors, sample counts, `extra`."""
    tensors = {f"model {name}": f"{list(t.shape)} {t.dtype}" for name, t in model.state_dict().items()}
    named = {f"{name} samples": size for name, size in sizes.items()}
    return {
        **settings.result_fields(),
        **tensors,
        **named,
        **{f"fingerprint {name}": value for name, value in (extra or {}).items()},
    }


def begin(
    *,
    store: CheckpointStore,
    model: nn.Module,
    parts: TrainedParts,
    machine: Machine,
    settings: TrainingSettings,
    identity: dict[str, Any],
) -> Start:
    """Load the run's last checkpoint into model, optimizer, scaler and generators.

    A new run starts from the weights of `init_from` if there is one, and seeds the generators.

    Of a finished run only the state is read. Raises UserError when the run was made with other settings or another
    model, or was resumed too often without finishing an epoch; nothing on disk is changed then.
    """
    processes, scaler = machine.processes, machine.precision.scaler
    path = store.path("last")
    if path is None:
        if processes.leads:
            store.sweep()
        if settings.init_from is not None:
            start_from(model, Path(settings.init_from).expanduser(), settings)
        seed_rank(settings.seed, processes.rank)
        return Start(TrainState(schedule_epochs=settings.max_epochs), [], None)

    record = store.read_record(path)
    _refuse_changes(record["identity"], identity, path)
    state = TrainState(**record["state"])
    history = _with_nan(record["history"])
    if state.stop_reason == "max_epochs" and state.epoch < settings.max_epochs:
        state = state.replace(stop_reason=None)
    if state.stop_reason is not None:
        return Start(state, history, path)

    if state.resume_count >= settings.resume_limit:
        raise UserError(
            f"This run was resumed {state.resume_count} times without finishing an epoch, as often as it may; "
            f"its last checkpoint {path} is untouched. Find in the log what ends it, then start it again with a higher "
            f"resume_limit, or delete {store.directory.parent} to begin anew."
        )
    checkpoint = store.load(path)
    model.load_state_dict(checkpoint.weights)
    parts.load_state_dict(checkpoint.training["optimizer"])
    if scaler is not None and checkpoint.training["scaler"]:
        scaler.load_state_dict(checkpoint.training["scaler"])
    _restore_generators(checkpoint.training["generators"], machine, seed=settings.seed)
    state = state.replace(resume_count=state.resume_count + 1)
    processes.barrier()  # every rank has read the record
    if processes.leads:
        # Counted on disk before anything can fail: a run that dies at once must not be tried for ever.
        store.rewrite_record(path, {**record, "state": {**record["state"], "resume_count": state.resume_count}})
        store.sweep()
    log.info(
        "going on from %s: epoch %d, step %d, resumption %d", path, state.epoch + 1, state.step, state.resume_count
    )
    return Start(state, history, path)


def _restore_generators(states: list[dict[str, Any]], machine: Machine, *, seed: int) -> None:
    """Each rank's own; with another number of processes than before, the ranks that are new begin theirs."""
    processes = machine.processes
    if len(states) != processes.size:
        log.warning(
            "saved by %d processes, going on with %d: dropout draws other numbers than in an uninterrupted run",
            *(len(states), processes.size),
        )
    if processes.rank < len(states):
        restore_generators(states[processes.rank], machine.device)
    else:
        seed_rank(seed, processes.rank)


def _with_nan(rows: list[dict[str, float | None]]) -> list[Row]:
    """Rows with null as NaN."""
    return [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]


def _refuse_changes(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    if now["max_epochs"] > before["max_epochs"]:  # more epochs are welcome: the schedule keeps its last value
        before = {**before, "max_epochs": now["max_epochs"]}
    changes = differences(before, now)
    if changes:
        raise UserError(
            f"{path}: this run was made otherwise ({'; '.join(changes)}); go back to that, or train in "
            "another directory."
        )
