"""Where the data lie does not depend on where a process was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_definitions import resources
from dagster_definitions.resources import DataRoot
from ml_core.__main__ import default_data_directory
from ml_core.errors import UserError


def test_dagster_and_the_shell_have_the_same_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert DataRoot().store().data == default_data_directory()
    monkeypatch.setenv("BIOASSETS_DATA", str(tmp_path / "elsewhere"))
    assert DataRoot().store().data == default_data_directory() == tmp_path / "elsewhere"


def test_a_relative_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOASSETS_DATA", "data")
    with pytest.raises(UserError, match="'data' is relative"):
        DataRoot().store()


def test_outside_a_checkout_a_directory_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "CHECKOUT", tmp_path)
    with pytest.raises(UserError, match="set BIOASSETS_DATA"):
        DataRoot().store()
