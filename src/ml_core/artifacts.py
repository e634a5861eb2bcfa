"""Artifacts: directories that are written aside, described by a manifest, and renamed into their place.

    DATA/artifacts/<family>/<stage>/<fingerprint>/      content, logs/, figures/, manifest.json
    DATA/artifacts/<family>/<stage>/current             symlink to the newest
    DATA/artifacts/<family>/<report>/champion           symlink to the report of the best model, see promotion.py
    DATA/runs/<family>/<stage>/<fingerprint>/           an unfinished stage's own work (checkpoints); gone when done
    DATA/raw/                                           cache of downloads

A directory below `artifacts` with a manifest is whole; whatever a killed process leaves begins with a dot and is swept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock

from ml_core.errors import UserError
from ml_core.summary import Summary

MANIFEST = "manifest.json"
NOT_CONTENT = ("logs", "figures")  # depend on the clock or on a font, so they do not count for the digest


@dataclass(frozen=True)
class Artifact:
    """A finished directory. `digest` identifies its content: equal bytes give equal digests on every machine."""

    directory: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.directory / MANIFEST).read_text())  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        return str(self.manifest["digest"])

    @property
    def fingerprint(self) -> str:
        return str(self.manifest["fingerprint"])

    @property
    def summary(self) -> Summary:
        return Summary.from_json(self.manifest["summary"])

    def path(self, name: str) -> Path:
        """The file `name` of this artifact; UserError where it is missing."""
        path = self.directory / name
        if not path.exists():
            raise UserError(
                f"{self.directory}: has no file '{name}'; the artifact is damaged, run its stage with --force."
            )
        return path

    def verify(self) -> list[str]:
        """Sentences for every file whose bytes differ from the manifest; an empty list means intact."""
        expected = self.manifest["files"]
        found = file_digests(self.directory)
        return [
            f"{self.directory / name}: {'is missing' if name not in found else 'has changed since it was written'}"
            for name in sorted(expected)
            if found.get(name) != expected[name]
        ]


class Store:
    """All artifacts below one data directory."""

    def __init__(self, data: Path, *, moves_current: bool = True) -> None:
        """`moves_current` False: what is made leaves `current` where it is, as a sweep does."""
        self.data, self.moves_current = Path(data).resolve(), moves_current
        self.raw = self.data / "raw"

    def stage_directory(self, family: str, stage: str) -> Path:
        return self.data / "artifacts" / family / stage

    def work_directory(self, family: str, stage: str, fingerprint: str) -> Path:
        return self.data / "runs" / family / stage / fingerprint

    def find(self, family: str, stage: str, fingerprint: str) -> Artifact | None:
        """The finished artifact of this fingerprint, if there is one."""
        directory = self.stage_directory(family, stage) / fingerprint
        return Artifact(directory) if (directory / MANIFEST).is_file() else None

    def current(self, family: str, stage: str) -> Artifact | None:
        """The artifact that was made or confirmed last."""
        return self.pointed_at(family, stage, "current")

    def pointed_at(self, family: str, stage: str, pointer: str) -> Artifact | None:
        """The artifact that the symlink `pointer` beside a stage's artifacts points at."""
        link = self.stage_directory(family, stage) / pointer
        return self.find(family, stage, os.readlink(link)) if link.is_symlink() else None

    def all(self, family: str, stage: str) -> list[Artifact]:
        """Every finished artifact of a stage, oldest first."""
        folder = self.stage_directory(family, stage)
        found = [Artifact(path.parent) for path in folder.glob(f"[!.]*/{MANIFEST}") if not path.parent.is_symlink()]
        return sorted(found, key=lambda artifact: str(artifact.manifest["created"]))

    def ancestors(self, artifact: Artifact) -> dict[tuple[str, str], Artifact | None]:
        """(stage, fingerprint) of the artifact and of all that it was made from, nearest first; None: it is gone."""
        family = str(artifact.manifest["family"])
        found: dict[tuple[str, str], Artifact | None] = {}
        waiting = [(str(artifact.manifest["stage"]), artifact.fingerprint)]
        while waiting:
            stage, fingerprint = waiting.pop(0)
            if (stage, fingerprint) in found:
                continue
            made = found[stage, fingerprint] = self.find(family, stage, fingerprint)
            waiting += made.manifest["input_fingerprints"].items() if made else []
        return found

    def make_current(self, family: str, stage: str, fingerprint: str) -> None:
        if self.moves_current:
            self.point(family, stage, "current", fingerprint)

    def point(self, family: str, stage: str, pointer: str, fingerprint: str) -> None:
        """Let the symlink `pointer` point at an artifact: at the old one or at the new one, at every moment."""
        folder = self.stage_directory(family, stage)
        link, new = folder / pointer, folder / f".{pointer}-{os.getpid()}"
        if link.is_symlink() and os.readlink(link) == fingerprint:
            return
        new.unlink(missing_ok=True)
        new.symlink_to(fingerprint)
        new.replace(link)

    @contextmanager
    def writing(self, family: str, stage: str, fingerprint: str) -> Iterator[Path]:
        """Hold this fingerprint's lock, sweep what a killed run left, and give an empty directory to write into."""
        folder = self.stage_directory(family, stage)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{fingerprint}.lock"):
            aside, place = folder / f".{fingerprint}.partial", folder / fingerprint
            replaced = folder / f".{fingerprint}.replaced"
            if replaced.exists() and not place.exists():  # killed between the two renames of `commit`
                replaced.rename(place)
            shutil.rmtree(replaced, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            try:
                yield aside
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def commit(self, directory: Path, manifest: dict[str, Any]) -> Artifact:
        """Complete the manifest with digests, flush everything to disk, rename into place, point `current` at it."""
        family, stage, fingerprint = manifest["family"], manifest["stage"], manifest["fingerprint"]
        files = file_digests(directory)
        manifest = {**manifest, "files": files, "digest": content_digest(files)}
        (directory / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n")
        for path in directory.rglob("*"):
            _flush(path)
        _flush(directory)
        folder = self.stage_directory(family, stage)
        place, replaced = folder / fingerprint, folder / f".{fingerprint}.replaced"
        if place.exists():
            place.rename(replaced)
        directory.rename(place)
        _flush(folder)
        self.make_current(family, stage, fingerprint)
        shutil.rmtree(replaced, ignore_errors=True)
        return Artifact(place)


def file_digests(directory: Path) -> dict[str, str]:
    """Relative path to sha256 of every file below `directory`, the manifest apart."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(directory).as_posix(): sha256(path) for path in paths}


def content_digest(files: dict[str, str]) -> str:
    """One hash (64 hex digits) over names and hashes of the content files; logs and figures do not count."""
    lines = [f"{name} {digest}\n" for name, digest in sorted(files.items()) if name.split("/")[0] not in NOT_CONTENT]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
