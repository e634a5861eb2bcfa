"""A stage's code version: a hash of what its code says, found by following imports inside ml_core.

Comments, docstrings and formatting do not count. Modules that only carry settings, describe or move results do not
count either: the values of settings are in the fingerprint already, and a nicer report page must not retrain a model.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ml_core.code_record import PACKAGE, CodeRecord

RECORD = CodeRecord()
FRAME = {
    "errors",
    "settings",
    "summary",
    "artifacts",
    "stages",
    "running",
    "usage",
    "sources",
    "code_record",
    "code_version",
    "presets",
    "compare",
    "__main__",
    "__init__",
    "family",
}


def code_version(module: str) -> str:
    """Hash (12 hex digits) of `module` and of every ml_core module that it imports, directly or not."""
    seen: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen[name], imported = _read(name)
        waiting += imported
    RECORD.save()
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:12]


@cache
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """(hash of the module's code, the ml_core modules that it imports)."""
    file = _own_file(module) or _file(module)
    if known := RECORD.find(file):
        return known
    tree = ast.parse(file.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        _drop_docstring(node)
    ours = tuple(sorted(name for name in names if _counts(name)))
    reading = hashlib.sha256(ast.dump(tree).encode()).hexdigest(), ours
    RECORD.add(file, reading)
    return reading


def _counts(name: str) -> bool:
    if not name.startswith("ml_core.") or name.rsplit(".", 1)[-1] in FRAME:
        return False
    return _own_file(name) is not None


def _own_file(name: str) -> Path | None:
    """Where a module of ml_core's folder stands, or None where it holds no such module.

    Not by find_spec(name): it would import the packages around the module, and of `from module import function` the
    module itself: pandas for one family, torch for the next.
    """
    if not name.startswith("ml_core."):
        return None
    place = PACKAGE.joinpath(*name.split(".")[1:])
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


def _file(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin)


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
