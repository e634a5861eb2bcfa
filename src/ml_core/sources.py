"""Raw data from outside: a local path, a URL with its sha256, or a member of a pinned public package.

Downloads are verified and kept in the cache (DATA/raw); a file whose bytes are not the pinned ones is never used.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ml_core.artifacts import sha256
from ml_core.errors import UserError

WAY_OUT = "Go on without it: use the simulator (--config configs/quick.yaml) or your own data (source: path)."


class Observation:
    """What lies outside the store now. Equal digests mean equal bytes.

    Of `files` the bytes are read when `digest` or `details` (path to sha256) are asked for, and not before.
    """

    def __init__(self, digest: str, details: Mapping[str, str], *, files: tuple[Path, ...] = ()) -> None:
        self._digest, self._details, self.files = digest, dict(details), files

    @cached_property
    def details(self) -> dict[str, str]:
        return {str(path): sha256(path) for path in self.files} if self.files else self._details

    @property
    def digest(self) -> str:
        return digest_of_files(self.details.values()) if self.files else self._digest


@dataclass(frozen=True)
class PackageMember:
    """A file inside a pinned package of the Python registry.

    `sha256` is that of the wheel, `member` the file's path inside it.
    """

    package: str
    version: str
    sha256: str
    member: str


def observe_files(paths: Iterable[Path]) -> Observation:
    """Digest over the content of local files (names do not count, order does). UserError where one is missing."""
    files = tuple(existing(path) for path in paths)
    return Observation(digest_of_files([]), {}, files=files)


def digest_of_files(digests: Iterable[str]) -> str:
    """One sha256 over those of several files, in their order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def existing(path: Path) -> Path:
    """`path`, or a UserError where there is no such file."""
    if not path.is_file():
        kind = "is a folder, expected a file" if path.is_dir() else "does not exist"
        raise UserError(f"{path}: {kind}; check the path in your settings.")
    return path


def local_path(text: str) -> Path:
    """The path that a setting means: each ${NAME} in it is an environment variable. UserError where one is not set.

    The setting itself stays as it is, so that an artifact's fingerprint does not depend on where the data lie.
    """

    def value(found: re.Match[str]) -> str:
        if not os.environ.get(found[1]):
            raise UserError(
                f"{text}: the environment variable {found[1]} is not set; set it to the folder that is meant."
            )
        return os.environ[found[1]]

    return Path(re.sub(r"\$\{(\w+)\}", value, text)).expanduser()


def package_member(wanted: PackageMember, cache: Path) -> Path:
    """Path of the member in the cache, fetched by pip when it is not there. UserError when offline or altered.

    Names that would lead out of the cache, or be read by pip as an option, are refused.
    """
    _refuse_strange_names(wanted)
    folder = cache / f"{wanted.package}-{wanted.version}"
    wheel = next(iter(sorted(folder.glob("*.whl"))), None) or _download_wheel(wanted, folder)
    verify(wheel, wanted.sha256)
    place = folder / wanted.member
    if not place.is_file():
        with zipfile.ZipFile(wheel) as archive:
            if wanted.member not in archive.namelist():
                raise UserError(f"{wheel}: has no member '{wanted.member}'; check the package's pin in your settings.")
            aside = folder / ".unpacking"
            archive.extract(wanted.member, aside)  # it is inside `aside`: no part of the name is ..
        place.parent.mkdir(parents=True, exist_ok=True)
        (aside / wanted.member).replace(place)
    return place


def download(url: str, *, digest: str, cache: Path) -> Path:
    """Path of the URL's file in the cache; its sha256 must be `digest`. UserError when offline or altered."""
    if not digest:
        raise UserError(
            f"{url}: source 'url' needs the file's sha256 as well; set it, so that the bytes can be verified."
        )
    place = cache / "urls" / digest[:16] / url.rstrip("/").rsplit("/", 1)[-1]
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(place.name + ".part")
        try:
            import urllib.request

            urllib.request.urlretrieve(url, aside)  # noqa: S310 - the user's own URL, verified by its digest
        except OSError as error:
            raise UserError(f"{url}: cannot be downloaded ({error}). {WAY_OUT}") from error
        verify(aside, digest)
        aside.replace(place)
    verify(place, digest)
    return place


def verify(path: Path, digest: str) -> None:
    """UserError unless the sha256 of `path` is `digest`; the wrong file is removed from the cache."""
    found = sha256(path)
    if found != digest:
        path.unlink()
        raise UserError(
            f"{path.name}: has sha256 {found}, expected {digest}, so it is not the pinned file and was removed; "
            f"run again to fetch it anew. {WAY_OUT}"
        )


def _refuse_strange_names(wanted: PackageMember) -> None:
    for what, text in (("name", wanted.package), ("version", wanted.version)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", text):
            raise UserError(f"package: '{text}' is no {what} of a package; check the pin in your settings.")
    path = PurePosixPath(wanted.member)
    if path.is_absolute() or ".." in path.parts or "\\" in wanted.member:
        raise UserError(f"package: '{wanted.member}' is no path inside a wheel; check the pin in your settings.")


def _download_wheel(wanted: PackageMember, folder: Path) -> Path:
    pin = f"{wanted.package}=={wanted.version}"
    with tempfile.TemporaryDirectory() as aside:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "-d",
            aside,
            pin,
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip, on a pin
        wheels = list(Path(aside).glob("*.whl"))
        if result.returncode or len(wheels) != 1:
            reason = next((line for line in reversed(result.stderr.splitlines()) if line.strip()), "no wheel came")
            raise UserError(f"{pin}: pip cannot fetch the demo's data ({reason.strip()}). {WAY_OUT}")
        verify(wheels[0], wanted.sha256)
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / wheels[0].name
        partial = place.with_suffix(".part")
        partial.write_bytes(wheels[0].read_bytes())
        partial.replace(place)
    return place
