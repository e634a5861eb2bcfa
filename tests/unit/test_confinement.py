"""What settings may name where the data directory is the limit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from ml_core.confinement import refuse_files_outside, refuse_settings_outside
from ml_core.errors import UserError
from ml_core.settings import Settings, setting


class Named(Settings):
    source: Literal["path", "tests"] = setting("path", description="Kind")
    file: str | None = setting(None, description="File")
    files: list[str] = setting([], description="Files")
    by_name: dict[str, str] = setting({}, description="By name")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory below the working directory, which has another folder beside it."""
    (tmp_path / "data" / "inbox").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELSEWHERE", "/etc")
    monkeypatch.setenv("HERE", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "/nowhere",
        "~/key",
        "${ELSEWHERE}/passwd",
        "data/../secret",
        "../x",
        "tests",
        "{data}/../x",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "file://localhost/etc/passwd",
    ],
)
@pytest.mark.parametrize("field", ["file", "files", "by_name"])
def test_a_path_outside_is_refused_wherever_it_stands(data: Path, text: str, field: str) -> None:
    text = text.replace("{data}", str(data))
    value = {"file": text, "files": ["a", text], "by_name": {"a": text}}[field]
    with pytest.raises(UserError, match=rf"^tiny_raw: field '{field}' is .*outside the data directory.*allow_outside"):
        refuse_settings_outside(Named(**{field: value}), data, where="tiny_raw")


@pytest.mark.parametrize(
    "text",
    [
        "{data}/inbox/x.csv",
        "${HERE}/inbox",
        "data/inbox",
        "gene/protein",
        "https://host/../x",
        "",
        "a b",
        "file://{data}/x",
    ],
)
def test_paths_inside_and_what_is_no_path_pass(data: Path, text: str) -> None:
    refuse_settings_outside(Named(file=text.replace("{data}", str(data)), source="tests"), data, where="tiny_raw")


def test_a_link_that_leads_outside_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (data / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="outside the data directory"):
        refuse_settings_outside(Named(file=str(data / "link")), data, where="tiny_raw")
    with pytest.raises(UserError, match=r"would read .*link, which lies outside"):
        refuse_files_outside([data / "link"], data, where="tiny_raw")
