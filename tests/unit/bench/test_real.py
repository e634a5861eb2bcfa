"""Real data are measured where they are named and there; else nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_core.bench.real import FOLDER, real_data


def test_only_what_is_named_and_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sequence" / "ecam").mkdir(parents=True)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert real_data("sequence", "ecam") == tmp_path / "sequence" / "ecam"
    assert real_data("hgt", "hetionet") is None
    for unnamed in ("", str(tmp_path / "absent")):
        monkeypatch.setenv(FOLDER, unnamed)
        assert real_data("sequence", "ecam") is None
    monkeypatch.delenv(FOLDER)
    assert real_data("sequence", "ecam") is None
