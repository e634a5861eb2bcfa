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

FRAME = {
    "errors",
    "settings",
    "summary",
    "artifacts",
    "stages",
    "running",
    "usage",
    "sources",
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
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:12]


@cache
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """(hash of the module's code, the ml_core modules that it imports)."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    tree = ast.parse(Path(spec.origin).read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        _drop_docstring(node)
    ours = tuple(sorted(name for name in names if _counts(name)))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), ours


def _counts(name: str) -> bool:
    if not name.startswith("ml_core.") or name.rsplit(".", 1)[-1] in FRAME:
        return False
    package = find_spec("ml_core")
    assert package is not None
    # Not find_spec(name): of `from module import function` it would import the module, and torch with it.
    place = Path(next(iter(package.submodule_search_locations or ()))).joinpath(*name.split(".")[1:])
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
