"""The files under canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ml_core.artifacts import sha256
from ml_core.errors import UserError
from ml_core.families.sequence.settings import RawSettings
from ml_core.families.sequence.simulate import simulate
from ml_core.families.sequence.simulated_files import write
from ml_core.settings import stable_hash
from ml_core.sources import Observation, download, existing, local_path, observe_files
from ml_core.stages import StageRun
from ml_core.summary import Number, Summary

NEEDED = ("table", "tree", "metadata")
FIELDS = (*NEEDED, "sequences", "distances", "extra_tables", "extra_trees", "extra_sequences")


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    if settings.source == "simulated":
        return Observation(stable_hash(settings.result_fields()), {"source": "simulated"})
    return observe_files(located(settings, cache=cache).values())


def build(run: StageRun) -> Summary:
    """Copy the files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        files = write(simulate(settings), run.directory)
        origins = {name: f"simulated ({settings.subjects} subjects, seed {settings.seed})" for name in files}
    else:
        found = located(settings, cache=run.cache)
        files = {name: f"{name}{''.join(path.suffixes[-2:])}" for name, path in found.items()}
        origins = {name: str(path) for name, path in found.items()}
        for name, path in found.items():
            shutil.copyfile(path, run.directory / files[name])
    source = {"source": settings.source, "files": files}
    (run.directory / "source.json").write_text(json.dumps(source, indent=2) + "\n")
    return _summary(run.directory, settings=settings, files=files, origins=origins)


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


def _summary(directory: Path, *, settings: RawSettings, files: dict[str, str], origins: dict[str, str]) -> Summary:
    rows: list[dict[str, Number]] = [
        {
            "file": files[name],
            "bytes": (directory / files[name]).stat().st_size,
            "sha256": sha256(directory / files[name]),
            "from": origins[name],
        }
        for name in files
    ]
    unaltered = settings.source == "simulated" or all(row["sha256"] == sha256(Path(str(row["from"]))) for row in rows)
    summary = Summary(
        headline=f"{len(files)} files from source '{settings.source}'.",
        numbers={"raw.files": len(files), "raw.bytes": sum(int(row["bytes"] or 0) for row in rows)},
        tables={"Files": rows},
    )
    summary.check(
        "verified_copy",
        unaltered,
        "the copies have the sha256 of their originals" if unaltered else "a copy differs from its original",
    )
    return summary
