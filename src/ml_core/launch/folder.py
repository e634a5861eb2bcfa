"""The folder through which the processes of one training speak: what to run, what came of it, and who is alive."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.running import StageRun, Watcher
from ml_core.stages import Family, Stage
from ml_core.summary import Summary

PREFIX = "processes-"
SPEC, RESULT, AGENT_LOG = "spec.json", "result.json", "agent.txt"
FIRST_ERROR, DEATHS = "first_error.json", "deaths.json"
PARENT_LIVES = "parent.lock"
SECONDS_TO_END = 30  # for ranks whose torchrun or parent is gone; see watch.py

Kind = Literal["user", "interrupted", "at_once", "lost", "fault"]


def new_folder(work: Path) -> Path:
    """An empty folder below `work`, on a disk that all ranks see. What a killed run left there is swept.

    Its ranks may still be saving: they are waited for.
    """
    work.mkdir(parents=True, exist_ok=True)
    for left in work.glob(f"{PREFIX}*"):
        wait_for_ranks(left)
        shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=work))


def wait_for_ranks(folder: Path) -> None:
    """Wait until no rank lives. Raises UserError after 30 s.

    Usually they are gone before torchrun; they save first when torchrun or the parent was killed.
    """
    until = time.monotonic() + SECONDS_TO_END
    while any(is_alive(lock) for lock in rank_locks(folder)):
        if time.monotonic() > until:
            raise UserError(
                f"{folder.parent}: processes of a training still run there although the one that started them is gone; "
                "end them (pgrep -f ml_core), then start the same run again."
            )
        time.sleep(0.1)


@dataclass(frozen=True)
class Spec:
    """One stage to run, as plain data. `family` is the family's package, `inputs` are artifact directories."""

    family: str
    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    directory: str
    work: str
    cache: str

    @classmethod
    def of(cls, family: Family, stage: Stage, run: StageRun) -> Spec:
        return cls(
            family=family.package,
            stage=stage.name,
            settings=run.settings.model_dump(mode="json"),
            inputs={name: str(artifact.directory) for name, artifact in run.inputs.items()},
            directory=str(run.directory),
            work=str(run.work),
            cache=str(run.cache),
        )

    @classmethod
    def read(cls, path: Path) -> Spec:
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    def stage_function(self) -> tuple[Family, Stage]:
        family: Family = importlib.import_module(f"{self.family}.family").FAMILY
        return family, family[self.stage]

    def stage_run(self, stage: Stage, *, directory: Path, watcher: Watcher) -> StageRun:
        settings = stage.settings.parse(self.settings, where=f"{self.family} {self.stage}")
        inputs = {name: Artifact(Path(place)) for name, place in self.inputs.items()}
        return StageRun(settings, inputs, directory, Path(self.work), Path(self.cache), watcher)


def write_result(folder: Path, summary: Summary, *, device: str) -> None:
    _write_whole(folder / RESULT, {"summary": summary.to_json(), "device": device})


def read_result(folder: Path) -> tuple[Summary, str] | None:
    """(summary, device) of rank 0, None where it made none."""
    found = _read(folder / RESULT)
    return None if found is None else (Summary.from_json(found["summary"]), found["device"])


@dataclass(frozen=True)
class FirstError:
    """Why a rank could not go on. `message` is a sentence or an interruption's cause; kind lost: another rank died."""

    rank: int
    kind: Kind
    message: str
    checkpoint: str | None
    traceback: str

    def exception(self) -> BaseException:
        """What a caller that runs the stage in its own process would have got."""
        from ml_core.training.interrupt import Interrupted

        if self.kind == "user":
            return UserError(self.message)
        if self.kind == "interrupted":
            return Interrupted(self.message, Path(self.checkpoint) if self.checkpoint else None)
        if self.kind == "at_once":
            return KeyboardInterrupt(self.message)
        return RuntimeError(f"rank {self.rank} of the training failed: {self.message}\n\n{self.traceback}")


def record_error(folder: Path, error: BaseException, *, rank: int, lost: bool = False) -> FirstError | None:
    """Leave `error` in the folder unless another rank was first. The first error of all; None without a folder."""
    from ml_core.training.interrupt import Interrupted

    kind: Kind = "lost" if lost else "fault"
    message, checkpoint = f"{type(error).__name__}: {error}", None
    if isinstance(error, UserError):
        kind, message = "user", str(error)
    elif isinstance(error, Interrupted):
        kind, message, checkpoint = "interrupted", error.cause, error.checkpoint
    elif isinstance(error, KeyboardInterrupt):
        kind, message = "at_once", str(error)
    text = "".join(traceback.format_exception(error))
    first = FirstError(rank, kind, message, str(checkpoint) if checkpoint else None, text)
    aside = folder / f".{FIRST_ERROR}.{rank}"
    with suppress(FileNotFoundError):  # the folder went with the parent, and nobody asks any more
        aside.write_text(json.dumps(asdict(first)))
        with suppress(FileExistsError):
            os.link(aside, folder / FIRST_ERROR)  # appears whole, and only once
    return read_first_error(folder)


def read_first_error(folder: Path) -> FirstError | None:
    found = _read(folder / FIRST_ERROR)
    return None if found is None else FirstError(**found)


def wait_for_first_error(folder: Path, *, seconds: float) -> None:
    """Give the rank that failed first the time to say so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and folder.exists() and not (folder / FIRST_ERROR).exists():
        time.sleep(0.05)


def write_deaths(folder: Path, exit_codes: dict[int, int]) -> None:
    _write_whole(folder / DEATHS, exit_codes)


def read_deaths(folder: Path) -> dict[int, int]:
    """Rank to exit code (minus the signal's number) of the ranks whose end torchrun was the first to see."""
    return {int(rank): code for rank, code in (_read(folder / DEATHS) or {}).items()}


@contextmanager
def alive(lock: Path) -> Iterator[None]:
    """Within, `is_alive(lock)` is true for other processes.

    The lock goes with the process, however that ends: unlike a pid, which outlives it as a zombie's or is given anew.
    The file goes only with an orderly end. One without a living process is that of a process that was killed.
    """
    aside = lock.with_name(f".{lock.name}")
    with aside.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        aside.rename(lock)
        yield
        lock.unlink(missing_ok=True)


def is_alive(lock: Path) -> bool:
    """Whether a process is `alive` there. Not for that process itself."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def rank_lock(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.lock"


def rank_locks(folder: Path) -> list[Path]:
    return list(folder.glob("rank-*.lock"))


def _write_whole(path: Path, content: Any) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_text(json.dumps(content))
    aside.replace(path)


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None
