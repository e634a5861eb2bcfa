"""What every family's stage `raw` does: see whether its source has changed, copy the files, say where they are from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ml_core.artifacts import sha256
from ml_core.settings import stable_hash
from ml_core.sources import Observation, observe_files
from ml_core.summary import Number, Summary

SIMULATED = "simulated"


class SourceSettings(Protocol):
    """The settings of a stage `raw`."""

    @property
    def source(self) -> str: ...

    def result_fields(self) -> dict[str, Any]: ...


class Located(Protocol):
    """A family's own: canonical name -> the file that the settings mean, fetched and verified where it is not local."""

    def __call__(self, settings: Any, /, *, cache: Path) -> dict[str, Path]: ...


def observe_source(settings: SourceSettings, *, located: Located, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    if settings.source == SIMULATED:
        return Observation(stable_hash(settings.result_fields()), {"source": SIMULATED})
    return observe_files(located(settings, cache=cache).values())


@dataclass(frozen=True)
class RawFiles:
    """The files in the directory of a stage `raw`.

    `files` and `origins` have the same canonical names: what each file is called there, and where it came from.
    """

    directory: Path
    source: str
    files: dict[str, str]
    origins: dict[str, str]

    def describe(self, description: Mapping[str, Any]) -> None:
        """Write source.json, which those read that read the files."""
        (self.directory / "source.json").write_text(json.dumps(description, indent=2) + "\n")

    def summary(self) -> Summary:
        """A table of the files, and the check `verified_copy`: the copies have their originals' bytes."""
        rows: list[dict[str, Number]] = []
        unaltered, total = True, 0
        for name, file in self.files.items():
            copy, origin = self.directory / file, self.origins[name]
            size, digest = copy.stat().st_size, sha256(copy)
            total += size
            unaltered = unaltered and (self.source == SIMULATED or digest == sha256(Path(origin)))
            rows.append({"file": file, "bytes": size, "sha256": digest, "from": origin})
        summary = Summary(
            headline=f"{len(self.files)} files from source '{self.source}'.",
            numbers={"raw.files": len(self.files), "raw.bytes": total},
            tables={"Files": rows},
        )
        summary.check(
            "verified_copy",
            unaltered,
            "the copies have the sha256 of their originals" if unaltered else "a copy differs from its original",
        )
        return summary


def simulated_files(files: dict[str, str], directory: Path, *, by: str) -> RawFiles:
    """Files (canonical name -> file name) that the simulator wrote into `directory`; `by`: with which settings."""
    return RawFiles(directory, SIMULATED, files, dict.fromkeys(files, f"{SIMULATED} ({by})"))


def copied_files(
    found: Mapping[str, Path], directory: Path, *, source: str, file_name: Callable[[str, Path], str]
) -> RawFiles:
    """Copies in `directory` of the files that were `found`, called `file_name(canonical name, path)` there."""
    files = {name: file_name(name, path) for name, path in found.items()}
    for name, path in found.items():
        shutil.copyfile(path, directory / files[name])
    return RawFiles(directory, source, files, {name: str(path) for name, path in found.items()})
