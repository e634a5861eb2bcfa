"""The files under canonical names, verified and never altered, with a note of where they came from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ml_core.artifacts import sha256
from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.fasta import write_fai
from ml_core.families.tissuebert.readers.plain import GZIP
from ml_core.families.tissuebert.readers.sheet import read_sheet
from ml_core.families.tissuebert.settings import RawSettings
from ml_core.families.tissuebert.simulate import simulate
from ml_core.families.tissuebert.simulated_files import write
from ml_core.running import StageRun
from ml_core.settings import stable_hash
from ml_core.sources import Observation, download, existing, local_path, observe_files
from ml_core.summary import Number, Summary

FIELDS = ("samples", "panel", "atlas", "fasta", "reads_train", "reads_test")
SAMPLE = "files"
SHOWN = 30


def observe(settings: RawSettings, cache: Path) -> Observation:
    """What lies outside now: the digest of the files, or of the simulator's settings (and its atlas)."""
    if settings.source == "simulated":
        digest = stable_hash(settings.result_fields())
        if settings.atlas:
            digest += observe_files([local_path(settings.atlas)]).digest
        return Observation(digest, {"source": "simulated"})
    return observe_files(located(settings, cache=cache).values())


def build(run: StageRun) -> Summary:
    """Copy the files (or write the simulator's) and say in source.json what they are."""
    settings: RawSettings = run.settings
    if settings.source == "simulated":
        written = write(simulate(settings), run.directory)
        origin = f"simulated (seed {settings.seed})"
        copies = {name: (file, origin) for name, file in written.items()}
        of_sheet = {file: file for name, file in written.items() if name.startswith(f"{SAMPLE}_")}
    else:
        found = located(settings, cache=run.cache)
        copies = {name: (_place(name, path), str(path)) for name, path in found.items()}
        for name, path in found.items():
            (run.directory / copies[name][0]).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, run.directory / copies[name][0])
        of_sheet = _of_sheet(found, copies=copies)
    named = {name: file for name, (file, _) in copies.items() if not name.startswith(f"{SAMPLE}_")}
    if "fasta" in named:
        _index(run.directory / named["fasta"])
    build_name = settings.build or ("simulated" if settings.source == "simulated" else "")
    source = {"source": settings.source, "build": build_name, "files": named, "sample_files": of_sheet}
    (run.directory / "source.json").write_text(json.dumps(source, indent=2) + "\n")
    return _summary(run.directory, settings=settings, copies=copies)


def _index(fasta: Path) -> None:
    """The .fai beside a FASTA that is plain text; a gzipped one is read as a whole."""
    with fasta.open("rb") as file:
        gzipped = file.read(len(GZIP)) == GZIP
    if not gzipped:
        write_fai(fasta)


def located(settings: RawSettings, *, cache: Path) -> dict[str, Path]:
    """Canonical name -> file, fetched and verified where it is not local: `samples`, ..., `files_1`, ... of the sheet.

    UserError where something is missing, or a file of the sheet is not there.
    """
    given = {name: value for name in FIELDS if (value := getattr(settings, name))}
    _refuse_incomplete(settings, given=given)
    if settings.source == "path":
        found = {name: existing(local_path(value)) for name, value in given.items()}
        if "samples" in found:
            folder = found["samples"].parent
            names = list(dict.fromkeys(read_sheet(found["samples"])["file"]))
            found |= {f"{SAMPLE}_{number}": existing(folder / local_path(name)) for number, name in enumerate(names, 1)}
        return found
    given |= {f"{SAMPLE}_{number}": url for number, url in enumerate(settings.files, 1)}
    unknown = sorted(set(settings.sha256) - set(given))
    if unknown or set(given) - set(settings.sha256):
        name = (unknown or sorted(set(given) - set(settings.sha256)))[0]
        wrong = f"names '{name}', which is no file here" if unknown else f"has no entry '{name}'"
        raise UserError(f"raw: sha256 {wrong}, expected one for each of {', '.join(given)}; mend raw.sha256.")
    return {name: download(url, digest=settings.sha256[name], cache=cache) for name, url in given.items()}


def _refuse_incomplete(settings: RawSettings, *, given: dict[str, str]) -> None:
    if "reads_train" in given:
        return
    missing = None
    if "samples" not in given:
        missing = "raw.samples is not set, expected a sheet of samples, or tables of reads in raw.reads_train"
    elif "panel" not in given and "atlas" not in given:
        missing = "neither raw.panel nor raw.atlas is set, expected one that names the regions"
    if missing:
        raise UserError(f"raw: source is '{settings.source}', but {missing}; set it.")


def _place(name: str, path: Path) -> str:
    """Samples keep their names, each in a folder of its own; the others are called by what they are."""
    return f"{name}/{path.name}" if name.startswith(f"{SAMPLE}_") else f"{name}{''.join(path.suffixes[-2:])}"


def _of_sheet(found: dict[str, Path], *, copies: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Name in the sheet -> copy."""
    if "samples" not in found:
        return {}
    there = [name for name in found if name.startswith(f"{SAMPLE}_")]
    by_name = {found[name].name: copies[name][0] for name in there}
    by_path = {str(found[name]): copies[name][0] for name in there}
    folder, of_sheet = found["samples"].parent, {}
    for name in dict.fromkeys(read_sheet(found["samples"])["file"]):
        path = str(folder / local_path(name))
        copy = by_path.get(path) or by_name.get(Path(name).name)
        if copy is None:
            raise UserError(f"{found['samples']}: names '{name}', which is not in raw.files; add its URL there.")
        of_sheet[name] = copy
    return of_sheet


def _summary(directory: Path, *, settings: RawSettings, copies: dict[str, tuple[str, str]]) -> Summary:
    rows: list[dict[str, Number]] = []
    altered, total = 0, 0
    for name, (file, origin) in copies.items():
        digest, size = sha256(directory / file), (directory / file).stat().st_size
        altered += settings.source != "simulated" and digest != sha256(Path(origin))
        total += size
        if not name.startswith(f"{SAMPLE}_") or len(rows) < SHOWN:
            rows.append({"file": file, "bytes": size, "sha256": digest, "from": origin})
    summary = Summary(
        headline=f"{len(copies)} files from source '{settings.source}'.",
        numbers={"raw.files": len(copies), "raw.bytes": total},
        tables={"Files": rows},
    )
    summary.check(
        "verified_copy",
        altered == 0,
        "the copies have the sha256 of their originals" if not altered else f"{altered} copies differ from theirs",
    )
    return summary
