"""The names that users write: read from the facade, which binds the generated functions by naming them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = "BaseClient"


def names_of_users(folder: Path) -> dict[str, str]:
    """Return what users write for each operation that a platform's folder binds: `list_bots` is `bots.list`.

    The code is read and not run, as it cannot be imported before what it binds has been generated. What no client
    leads to keeps its own name.
    """
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    modules = {alias for tree in trees for alias in _generated_modules(tree)}
    found: dict[str, str] = {}
    for node in classes.values():
        if any(_last_name(base) == _ROOT for base in node.bases):
            for function, name in _bound(node, classes, modules, ()):
                found.setdefault(function, name)
    return found


def _generated_modules(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("_generated"):
            yield from (alias.asname or alias.name for alias in node.names)


def _bound(
    node: ast.ClassDef, classes: dict[str, ast.ClassDef], modules: set[str], path: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    for name, value in _assignments(node):
        here = (*path, name)
        inner = classes.get(_last_name(value.args[0])) if isinstance(value, ast.Call) and value.args else None
        if inner is not None and inner is not node:
            yield from _bound(inner, classes, modules, here)
            continue
        for part in ast.walk(value):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in modules:
                yield part.attr, ".".join(here)
                break


def _assignments(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for line in node.body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            yield line.targets[0].id, line.value
        elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None:
            yield line.target.id, line.value


def _last_name(node: ast.expr) -> str:
    """`namespaces.Bots` is `Bots`, and `BaseClient[Options]` is `BaseClient`."""
    match node:
        case ast.Subscript(value=inner):
            return _last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""
