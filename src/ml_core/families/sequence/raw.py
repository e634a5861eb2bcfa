"""The files under canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

from pathlib import Path

from ml_core.errors import UserError
from ml_core.families.sequence.settings import RawSettings
from ml_core.families.sequence.simulate import simulate
from ml_core.families.sequence.simulated_files import write
from ml_core.raw_copy import copied_files, observe_source, simulated_files
from ml_core.running import StageRun
from ml_core.sources import Observation, download, existing, local_path
from ml_core.summary import Summary

NEEDED = ("table", "tree", "metadata")
FIELDS = (*NEEDED, "sequences", "distances", "extra_tables", "extra_trees", "extra_sequences")


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    return observe_source(settings, located=located, cache=cache)


def build(run: StageRun) -> Summary:
    """Copy the files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        files = write(simulate(settings), run.directory)
        raw = simulated_files(files, run.directory, by=f"{settings.subjects} subjects, seed {settings.seed}")
    else:
        found = located(settings, cache=run.cache)
        raw = copied_files(found, run.directory, source=settings.source, file_name=_file_name)
    raw.describe({"source": settings.source, "files": raw.files})
    return raw.summary()


def located(settings: RawSettings, *, cache: Path) -> dict[str, Path]:
    """Canonical name -> file, fetched and verified where it is not local: `table`, ..., `extra_tables_1`, ..."""
    missing = [name for name in NEEDED if not getattr(settings, name)]
    if missing:
        raise UserError(
            f"raw: source is '{settings.source}', but raw.{missing[0]} is not set, expected {', '.join(NEEDED)}; set "
            "it."
        )
    given: dict[str, str] = {}
    for field in FIELDS:
        value = getattr(settings, field)
        if isinstance(value, list):
            given |= {f"{field}_{number}": each for number, each in enumerate(value, 1)}
        elif value:
            given[field] = value
    if settings.source == "path":
        return {name: existing(local_path(value)) for name, value in given.items()}
    unknown = sorted(set(settings.sha256) - set(given))
    if unknown or set(given) - set(settings.sha256):
        name = (unknown or sorted(set(given) - set(settings.sha256)))[0]
        wrong = f"names '{name}', which is no file here" if unknown else f"has no entry '{name}'"
        raise UserError(f"raw: sha256 {wrong}, expected one for each of {', '.join(given)}; mend raw.sha256.")
    return {name: download(url, digest=settings.sha256[name], cache=cache) for name, url in given.items()}


def _file_name(name: str, path: Path) -> str:
    return name + "".join(path.suffixes[-2:])
