"""The bytes behind a path: plain, gzipped, or the data of a QIIME 2 artifact (.qza, a zip)."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from pathlib import Path

from ml_core.errors import UserError

ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"


def content(path: Path, *, members: tuple[str, ...], what: str) -> bytes:
    """The file's bytes; of a .qza those of the first of `members` that its folder data/ has.

    `what` says what is expected there ("a feature table"). UserError where the archive is damaged or holds other data.
    """
    data = path.read_bytes()
    if data.startswith(ZIP):
        return _from_artifact(path, members=members, what=what)
    if data.startswith(GZIP):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: cannot be unpacked ({error}), expected {what}; fetch the file again.") from error
    if not data.strip():
        raise UserError(f"{path}: is empty, expected {what}; check the path.")
    return data


def text(path: Path, *, members: tuple[str, ...], what: str) -> str:
    """The same as text (UTF-8, with or without a byte order mark)."""
    data = content(path, members=members, what=what)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is no UTF-8 text, expected {what}; check the path, or save the file as UTF-8."
        ) from error


def _from_artifact(path: Path, *, members: tuple[str, ...], what: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.split("/", 1)[-1]: name for name in archive.namelist() if "/" in name}
            for member in members:
                if f"data/{member}" in names:
                    return archive.read(names[f"data/{member}"])
            described = archive.read(names["metadata.yaml"]).decode() if "metadata.yaml" in names else ""
    # zipfile raises NotImplementedError for compressions that it does not know, RuntimeError for encrypted members
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"{path}: is a damaged zip ({error}), expected {what} as .qza; fetch the file again."
        ) from error
    found = re.search(r"^type: (.+)$", described, re.MULTILINE)
    kind = f"a QIIME 2 artifact of type {found[1]}" if found else "a zip without QIIME 2's folder data/"
    raise UserError(f"{path}: is {kind}, expected {what} ({' or '.join(members)}); give another artifact.")
