"""Checkpoints on disk: each a directory that is whole or absent, and an index of which one plays which role.

checkpoints/
    index.json                      roles: last, best_loss, best_metric, every_n, top_k
    epoch-0003-sample-000000000/    3 epochs finished
        model.safetensors           weights and buffers
        training.pt                 optimizer, scaler, generators; plain tensors and numbers only
        state.json                  TrainState, history, settings, what the run's identity is made of
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ml_core.errors import UserError
from ml_core.training.state import improved

WEIGHTS, TRAINING, STATE, INDEX = "model.safetensors", "training.pt", "state.json", "index.json"


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds."""

    weights: dict[str, Tensor]
    training: dict[str, Any]  # optimizer, scaler, generators: types that `weights_only=True` accepts
    record: dict[str, Any]  # plain JSON


@dataclass(frozen=True)
class Roles:
    """The roles that a new checkpoint takes besides `last`. `score` is the monitored value if it is a number."""

    best_loss: bool = False
    best_metric: bool = False
    every_n: bool = False
    score: float | None = None


@dataclass
class Index:
    """Names of the directories by role."""

    last: str | None = None
    best_loss: str | None = None
    best_metric: str | None = None
    every_n: list[str] = field(default_factory=list)
    top_k: list[dict[str, Any]] = field(default_factory=list)  # {"name", "score"}, the best first

    def names(self) -> set[str]:
        named = {self.last, self.best_loss, self.best_metric, *self.every_n, *(entry["name"] for entry in self.top_k)}
        return {name for name in named if name is not None}


class CheckpointStore:
    """The checkpoints of one run."""

    def __init__(self, directory: Path, *, keep_top: int, mode: Literal["min", "max"]) -> None:
        self.directory = directory
        self.index = _read_index(directory / INDEX)
        self._keep_top = keep_top
        self._mode = mode

    def path(self, role: Literal["last", "best_loss", "best_metric"]) -> Path | None:
        name = getattr(self.index, role)
        return None if name is None else self.directory / name

    def require(self, role: Literal["last", "best_loss", "best_metric"]) -> Path:
        """The checkpoint of a role that must be taken, as `last` is after training."""
        path = self.path(role)
        if path is None:
            raise UserError(
                f"{self.directory}: no checkpoint plays the role '{role}'; train the model to its end first."
            )
        return path

    def save(self, name: str, checkpoint: Checkpoint, roles: Roles) -> Path:
        """Write a checkpoint aside, sync it, rename it into place, then point the index at it.

        A kill at any moment leaves the old index with its directories, or the new one with its own. Raises UserError
        where the disk refuses; the earlier checkpoints are then untouched.
        """
        place, aside = self.directory / name, self.directory / f".writing-{name}"
        with _disk_errors(place):
            self.directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(aside, ignore_errors=True)
            try:
                aside.mkdir()
                save_file(checkpoint.weights, aside / WEIGHTS)
                _save_tensors(checkpoint.training, aside / TRAINING)
                (aside / STATE).write_text(_to_json(checkpoint.record))
                for file in (WEIGHTS, TRAINING, STATE):
                    _sync(aside / file)
                _sync(aside)
                os.rename(aside, place)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            _sync(self.directory)
            self._point_at(name, roles)
        self.sweep()
        return place

    def load(self, path: Path) -> Checkpoint:
        """Read a checkpoint back, on the CPU. Raises UserError if it is missing, damaged, or holds code."""
        try:
            training = torch.load(path / TRAINING, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UserError(
                f"{path / TRAINING}: holds more than tensors and numbers and was refused, because such a file can run "
                "any code; put the run's own checkpoint back, or delete the run's directory to start anew."
            ) from error
        except (OSError, RuntimeError, EOFError) as error:
            raise _damaged(path / TRAINING, error) from error
        return Checkpoint(_read_tensors(path / WEIGHTS), training, self.read_record(path))

    def read_record(self, path: Path) -> dict[str, Any]:
        return _read_json(path / STATE)

    def rewrite_record(self, path: Path, record: dict[str, Any]) -> None:
        """Replace a checkpoint's state.json in one step."""
        with _disk_errors(path):
            _replace_text(path / STATE, _to_json(record))

    def sweep(self) -> None:
        """Delete what no role names: superseded checkpoints, and what a killed process left half done."""
        keep = self.index.names() | {INDEX}
        for entry in self.directory.iterdir() if self.directory.exists() else ():
            if entry.name not in keep:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def _point_at(self, name: str, roles: Roles) -> None:
        index = Index(**asdict(self.index))
        index.last = name
        if roles.best_loss:
            index.best_loss = name
        if roles.best_metric:
            index.best_metric = name
        if roles.every_n:
            index.every_n.append(name)
        if roles.score is not None and improved(roles.score, None, mode=self._mode):
            scored = [*index.top_k, {"name": name, "score": roles.score}]
            scored.sort(key=lambda entry: entry["score"], reverse=self._mode == "max")  # stable: the earlier wins a tie
            index.top_k = scored[: self._keep_top]
        _replace_text(self.directory / INDEX, _to_json(asdict(index)))
        self.index = index


def load_weights(directory: Path) -> dict[str, Tensor]:
    """Weights and buffers by name, on the CPU, for `model.load_state_dict`.

    Raises UserError if there are none, or if the file is damaged.
    """
    return _read_tensors(weights_file(directory))


def weights_file(directory: Path) -> Path:
    """The weights in a checkpoint or an artifact that holds model.safetensors, or in a run, whose best model is taken.

    Raises UserError if there are none.
    """
    file = directory / WEIGHTS
    if file.exists():
        return file
    index = _read_index(directory / "checkpoints" / INDEX)
    best = index.best_metric or index.last
    if best is None:
        raise UserError(
            f"{directory}: holds no {WEIGHTS} and no finished checkpoint; give the directory of a trained model."
        )
    return directory / "checkpoints" / best / WEIGHTS


def cpu_copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU; tied weights become separate, because safetensors holds no shared memory."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def _save_tensors(content: dict[str, Any], file: Path) -> None:
    """`torch.save`, whose writer reports a full disk as a RuntimeError about positions."""
    try:
        torch.save(content, file)
    except RuntimeError as error:
        if "inline_container" in str(error) or "PytorchStreamWriter" in str(error):
            raise OSError(errno.ENOSPC, "PyTorch could not write the whole file") from error
        raise


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error


def _read_index(file: Path) -> Index:
    if not file.exists():
        return Index()
    try:
        return Index(**_read_json(file))
    except TypeError as error:
        raise _damaged(file, error) from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict):
        raise _damaged(file, TypeError(f"expected a JSON object, found {type(content).__name__}"))
    return content


def _to_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False)


def _replace_text(file: Path, text: str) -> None:
    aside = file.with_name(f".{file.name}")
    aside.write_text(text)
    _sync(aside)
    os.replace(aside, file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    """Have the disk confirm a file or a directory's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(file: Path, error: Exception) -> UserError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(
        f"{file}: cannot be read ({reason}); put the file back, or delete the run's directory to start anew."
    )


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn what a full or closed disk raises into a sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        code = error.errno if isinstance(error, OSError) else None
        free_gb = shutil.disk_usage(path.parent).free / 1e9 if path.parent.exists() else 0.0
        advice = (
            "make the directory writable" if code in (errno.EACCES, errno.EPERM, errno.EROFS) else "free some space"
        )
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: the checkpoint could not be written ({reason}; {free_gb:.1f} GB free); {advice} and start the "
            "same run again: the checkpoints before it are whole."
        ) from error
