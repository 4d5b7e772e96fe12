"""The house as a graph: which module imports which, by rooms. `python -m tests.support.house [SRC]` prints its figures.

An import counts wherever it stands (in a function, for types only) and so does a `LazyModule`. Rooms are the folders of
`_core`; a module that lies there alone is a room of its own.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parents[2] / "src" / "dialogkit"


class Import(NamedTuple):
    """That `importer` uses `name` of `module`."""

    importer: str
    module: str
    name: str


def modules(source: Path = SOURCE) -> dict[str, Path]:
    """Return the files below `source` under their dotted names."""
    found: dict[str, Path] = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(importer: str, path: Path) -> Iterator[Import]:
    """Yield what a module imports of this package; relative imports are of its own room."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("dialogkit"):
            yield from (Import(importer, node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names if alias.name.startswith("dialogkit"))
            yield from (Import(importer, *_split(name)) for name in names)
        elif (name := lazily_imported(node)).startswith("dialogkit."):
            yield Import(importer, *_split(name))


def lazily_imported(node: ast.AST) -> str:
    """Return the module that a `LazyModule("...")` stands for, else nothing."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "LazyModule":
        argument = node.args[0]
        return str(argument.value) if isinstance(argument, ast.Constant) else ""
    return ""


def all_imports(files: Mapping[str, Path]) -> list[Import]:
    """Return every import of the package's own modules."""
    return [each for name, path in files.items() for each in imports_of(name, path)]


def room_of(module: str, name: str = "", within: str = "dialogkit._core") -> str | None:
    """Return the room below `within` that `name` of `module` lies in, `None` elsewhere."""
    full = f"{module}.{name}" if name and module == within else module
    return full.removeprefix(f"{within}.").partition(".")[0] if full.startswith(f"{within}.") else None


def arrows(found: list[Import], within: str = "dialogkit._core") -> set[tuple[str, str]]:
    """Return which room imports which other one."""
    pairs = {(room_of(each.importer, within=within), room_of(each.module, each.name, within)) for each in found}
    return {(own, other) for own, other in pairs if own is not None and other is not None and own != other}


def circles(pairs: set[tuple[str, str]]) -> list[set[str]]:
    """Return the sets of rooms that import each other, by whatever detour."""
    reach = {room: _reachable(room, pairs) for pair in pairs for room in pair}
    found: list[set[str]] = []
    for room, others in reach.items():
        circle = {each for each in others if room in reach[each]}
        if circle and circle not in found:
            found.append(circle)
    return found


def floors(pairs: set[tuple[str, str]]) -> dict[str, int]:
    """Return the lowest floor that each room can be on, where there is no circle."""
    below = {room: {other for own, other in pairs if own == room} for pair in pairs for room in pair}
    done: dict[str, int] = {}
    while len(done) < len(below):
        free = [room for room, others in below.items() if room not in done and others <= done.keys()]
        if not free:
            break
        done |= {room: 1 + max((done[each] for each in below[room]), default=0) for room in free}
    return done


def _reachable(room: str, pairs: set[tuple[str, str]]) -> set[str]:
    seen: set[str] = set()
    ahead = [room]
    while ahead:
        here = ahead.pop()
        new = {other for own, other in pairs if own == here} - seen
        seen |= new
        ahead.extend(new)
    return seen


def _split(name: str) -> tuple[str, str]:
    module, _, last = name.rpartition(".")
    return module, last


def _module_arrows(found: list[Import], files: Mapping[str, Path]) -> set[tuple[str, str]]:
    pairs = ((each.importer, f"{each.module}.{each.name}", each.module) for each in found)
    return {(own, full if full in files else module) for own, full, module in pairs if {full, module} & files.keys()}


def _lengths(files: Mapping[str, Path]) -> list[int]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for path in files.values() for node in ast.walk(ast.parse(path.read_text())))
    return sorted((node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, functions))


def _report(source: Path) -> Iterator[str]:
    files = {name: path for name, path in modules(source).items() if "_generated" not in name}
    core = {name: path for name, path in files.items() if name.startswith("dialogkit._core")}
    found = all_imports(files)
    pairs = arrows(found)
    inner = {pair for pair in _module_arrows(found, files) if set(pair) <= core.keys() and pair[0] != pair[1]}
    lengths = _lengths(core)
    rooms = {room for pair in pairs for room in pair}
    p95 = lengths[int(len(lengths) * 0.95)]
    yield f"modules in _core: {len(core)}, arrows between them: {len(inner)}, circles: {len(circles(inner))}"
    yield f"rooms: {len(rooms)}, arrows: {len(pairs)}, circles: {len(circles(pairs))}"
    yield f"floors: {max(floors(pairs).values())}, for {len(floors(pairs))} rooms that are in no circle"
    yield f"functions: {len(lengths)}, median {statistics.median(lengths):g} lines, p95 {p95}, longest {lengths[-1]}"


if __name__ == "__main__":
    print(*_report(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else SOURCE), sep="\n")  # noqa: T201 - a command
