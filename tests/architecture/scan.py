"""What the architecture tests see of a source file, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@dataclass(frozen=True)
class Import:
    """An imported name, in full: `from a.b import c` is a.b.c. `deferred`: only when a function runs."""

    name: str
    line: int
    deferred: bool = False

    def below(self, package: str) -> bool:
        return self.name == package or self.name.startswith(f"{package}.")


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports(tree: ast.AST) -> list[Import]:
    """Every import, also those inside functions; those for the type checker alone do not count."""
    return list(_imports(tree, deferred=False))


def unsafe_loads(tree: ast.AST) -> list[str]:
    """One phrase for each way in which a file could run code that stands in data.

    Of an unpickling module only the exceptions may be used.
    """
    found = [
        f"line {imported.line}: imports {imported.name}"
        for imported in imports(tree)
        if imported.name.split(".")[0] in UNSAFE_MODULES
        and "." in imported.name
        and not imported.name.endswith("Error")
    ]
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in UNSAFE_MODULES
    }
    exceptions = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.endswith("Error")
    }
    found += [
        f"line {node.lineno}: uses {node.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in modules and id(node) not in exceptions
    ]
    loaders = {"torch.load"} | {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "torch"
        for alias in node.names
        if alias.name == "load"
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        called = ast.unparse(node.func)
        if called in loaders and not _is(keywords.get("weights_only"), True):
            found.append(f"line {node.lineno}: {called} without weights_only=True")
        if "allow_pickle" in keywords and not _is(keywords["allow_pickle"], False):
            found.append(f"line {node.lineno}: {called} with allow_pickle")
        if called.endswith(("read_pickle", "read_hdf", "jit.load", "yaml.load", "yaml.unsafe_load", "extractall")):
            found.append(f"line {node.lineno}: {called}")
        if called in ("eval", "exec", "os.system") or _is(keywords.get("shell"), True):
            found.append(f"line {node.lineno}: {called} runs code")
    return found


def _imports(node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, deferred) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from (Import(f"{module}.{alias.name}", node.lineno, deferred) for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for child in node.orelse:
            yield from _imports(child, deferred=deferred)
    else:
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, deferred=inside)


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
