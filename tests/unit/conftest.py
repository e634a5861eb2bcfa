"""A tiny family, written as source into a temporary package, so that tests can change its code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_core import code_version
from ml_core.artifacts import Store
from ml_core.settings import Settings, setting
from ml_core.stages import Check, Family, Stage

WORK = '''
"""Stage functions of the tiny family."""
from pathlib import Path

from ml_core.sources import observe_files
from ml_core.summary import Summary


def observe(settings, cache):
    return observe_files([Path(settings.path)])


def count(run):
    text = Path(run.settings.path).read_text()
    (run.directory / "count.txt").write_text(str(len(text)))
    summary = Summary(headline=f"{len(text)} letters", numbers={"letters": len(text)})
    summary.check("not_empty", len(text) > 0, f"{len(text)} letters.")
    return summary


def double(run):
    number = run.settings.factor * int(run.inputs["count"].path("count.txt").read_text())
    (run.directory / "double.txt").write_text(str(number))
    return Summary(numbers={"double": number})


def fail(run):
    (run.directory / "half.txt").write_text("half")
    raise RuntimeError("planted")
'''


class CountSettings(Settings):
    path: str = setting(description="Text file")
    workers: int = setting(1, description="Workers", affects_result=False)


class DoubleSettings(Settings):
    factor: int = setting(2, description="Factor", ge=1)


@pytest.fixture
def work_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Path of the tiny family's source file; `forget` it after changing it."""
    package = tmp_path / "package" / "tiny"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(package.parent))
    forget()
    yield package / "work.py"
    forget()


def forget() -> None:
    """Let changed source count: drop the imported module and what was read of it."""
    for name in ("tiny", "tiny.work"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    code_version._read.cache_clear()


@pytest.fixture
def family(work_module: Path) -> Family:
    check = Check("not_empty", "The text is empty.", "Write something.")
    return Family(
        name="tiny",
        title="Tiny",
        description="Counts letters.",
        package="tiny",
        stages=(
            Stage("count", CountSettings, "work:count", "Count.", checks=(check,), observe="work:observe"),
            Stage("double", DoubleSettings, "work:double", "Double.", inputs=("count",)),
        ),
        key_metrics=("double",),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("hello")
    return path
