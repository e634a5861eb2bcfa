"""Keeps what a run config names inside the data directory, for doors that others than the owner may knock at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from ml_core.artifacts import Store
from ml_core.errors import UserError
from ml_core.settings import Settings
from ml_core.sources import local_path
from ml_core.stages import Family, Stage


def refuse_outside(family: Family, stage: Stage, *, settings: Settings, store: Store) -> None:
    """UserError where a stage with these settings would read files that lie outside the data directory."""
    where = f"{family.name}_{stage.name}"
    refuse_settings_outside(settings, store.data, where=where)
    if stage.observe and getattr(settings, "source", "path") == "path":
        refuse_files_outside(family.resolve(stage.observe)(settings, store.raw).files, store.data, where=where)


def refuse_settings_outside(settings: Settings, data: Path, *, where: str) -> None:
    """UserError where a text among the settings is the path of something outside `data`.

    A text is a path if it is absolute or a file: URL, begins with ~ or ${NAME}, goes up by .., or names what lies in
    the working directory. What it names need not exist, so that nobody learns what does.
    """
    for name, text in _texts(settings):
        path = _path_in(text)
        if path is not None and not _inside(path, data):
            raise UserError(
                f"{where}: field '{name}' is '{text}', which lies outside the data directory {data}; put the files "
                "there, or allow it in the run config by resources: {data_root: {config: {allow_outside: true}}}."
            )


def refuse_files_outside(files: Iterable[Path], data: Path, *, where: str) -> None:
    """UserError where one of the files that are about to be read lies outside `data`, also behind a link."""
    for path in files:
        if not _inside(path, data):
            raise UserError(
                f"{where}: would read {path}, which lies outside the data directory {data}; put it there, or allow it "
                "in the run config by resources: {data_root: {config: {allow_outside: true}}}."
            )


def _texts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every text among the values that a user can choose freely, with its field's name."""
    for name, field in type(settings).model_fields.items():
        if get_origin(field.annotation) is not Literal:
            yield from ((name, text) for text in _flat(getattr(settings, name), chosen=_choices(field.annotation)))


def _flat(value: Any, *, chosen: set[Any]) -> Iterator[str]:
    if isinstance(value, str):
        if value not in chosen:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _flat(item, chosen=chosen)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item, chosen=chosen)


def _choices(annotation: Any) -> set[Any]:
    """The values of each Literal inside a type."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {choice for part in get_args(annotation) for choice in _choices(part)}


def _path_in(text: str) -> Path | None:
    """The path that a text means, None where it means none."""
    if text.lower().startswith("file:"):
        from urllib.request import url2pathname  # takes 10 ms, and each of Dagster's commands imports this file

        return Path(url2pathname(urlsplit(text).path))
    if not text.strip() or "\0" in text or "://" in text:
        return None
    path = Path(text)
    named = path.is_absolute() or text.startswith(("~", "${")) or ".." in path.parts or path.exists()
    return local_path(text) if named else None


def _inside(path: Path, data: Path) -> bool:
    return path.resolve().is_relative_to(data.resolve())
