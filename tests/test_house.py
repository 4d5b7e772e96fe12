"""The house rules that a machine can check: who may import whom, how large a room may be, what is public."""

from __future__ import annotations

import ast
import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dialogkit
from dialogkit._core import errors

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "dialogkit"
PLATFORMS = {path.stem for path in (ROOT / "openapi").glob("*.yaml")}  # so the rules hold for the next one, too
HAND_WRITTEN = sorted(
    path
    for folder in (SOURCE, ROOT / "generator", ROOT / "examples")
    for path in folder.rglob("*.py")
    if "_generated" not in path.parts
)


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of the dialogkit modules that a file imports, also lazily or for types only."""
    package = ["dialogkit", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("dialogkit"))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            if name.startswith("dialogkit"):
                yield from (f"{name}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def may_import(path: Path, imported: str) -> bool:
    """Say whether the design allows it: generated → _core; facade → own _generated and _core; _core → _core."""
    target = imported.split(".")[1] if "." in imported else ""
    own = room(path)
    if own == "_core":
        return target in {"_core", "__version__"}
    if own in PLATFORMS:
        allowed = {"_core"} if "_generated" in path.parts else {"_core", own}
        return target in allowed or (
            ("_generated" in path.parts) and imported.startswith(f"dialogkit.{own}._generated")
        )
    if own in {"testing", "fastapi.py"}:
        private = target in {"_core", *PLATFORMS} and any(part.startswith("_") for part in imported.split(".")[1:])
        return not private
    return True


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_know_only_whom_they_may(path: Path) -> None:
    wrong = [name for name in imports(path) if not may_import(path, name)]
    assert not wrong, f"{path.relative_to(ROOT)} may not import {', '.join(wrong)}"


def test_every_document_has_its_rooms() -> None:
    assert {"hoopai", "hoverbot", "convoai"} <= PLATFORMS
    for platform in PLATFORMS:
        for name in ("__init__.py", "client.py", "namespaces.py", "_generated/__init__.py"):
            assert (SOURCE / platform / name).is_file(), f"{platform}/{name} is missing"


FORBIDDEN = [
    ("hoverbot/client.py", "dialogkit.hoopai.limits.TIERS"),
    ("convoai/namespaces.py", "dialogkit.hoverbot._generated.messages"),
    ("hoopai/client.py", "dialogkit.convoai.client.ConvoAI"),
    ("convoai/_generated/agents.py", "dialogkit.convoai.limits.PLANS"),
    ("hoverbot/_generated/messages.py", "dialogkit.hoopai._generated.models"),
    ("_core/client.py", "dialogkit.convoai.client.ConvoAI"),
    ("_core/sending/sender.py", "dialogkit.hoverbot.limits.LIMITS"),
    ("_core/client.py", "dialogkit.testing.Sandbox"),
    ("hoverbot/client.py", "dialogkit.testing.Sandbox"),
]


@pytest.mark.parametrize(("file", "imported"), FORBIDDEN)
def test_the_rules_refuse_what_they_should(file: str, imported: str) -> None:
    assert not may_import(SOURCE / file, imported)


def test_a_client_brings_along_neither_another_platform_nor_its_own_models() -> None:
    program = (
        "import sys, dialogkit\n"
        "for name in ('HoverBot', 'ConvoAI', 'HoopAI'):\n"
        "    getattr(dialogkit, name)('a-key-of-a-test')\n"
        "    loaded = [each for each in sys.modules if each.startswith('dialogkit.') and each.endswith('.client')]\n"
        "    print(*sorted(loaded), any('_generated.models' in each for each in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    rooms = ["dialogkit._core.client", "dialogkit.hoverbot.client"]
    assert done.stdout.splitlines() == [
        " ".join([*rooms, "False"]),
        " ".join([rooms[0], "dialogkit.convoai.client", rooms[1], "False"]),
        " ".join([rooms[0], "dialogkit.convoai.client", "dialogkit.hoopai.client", rooms[1], "False"]),
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run_time_imports(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def test_modules_form_no_circle() -> None:
    files = {module_name(path): path for path in SOURCE.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        graph[name] = set()
        for node in run_time_imports(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    graph[name].add(full if full in files else node.module)
        graph[name] = {each for each in graph[name] if each in files and each != name}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle: {' -> '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for each in sorted(graph[name]):
                visit(each, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 400, f"{path.relative_to(ROOT)} has outgrown its room"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length < 50, f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"


def test_every_public_name_is_there_and_documented() -> None:
    for name in dialogkit.__all__:
        thing = getattr(dialogkit, name)
        assert name == "__version__" or getattr(thing, "__doc__", None), f"dialogkit.{name} has no docstring"
    assert sorted(dialogkit.__all__) == sorted(dir(dialogkit))


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Hoopla'"):
        dialogkit.Hoopla  # noqa: B018  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportUnusedExpression]


def test_importing_the_package_loads_nothing_heavy() -> None:
    source = Path(dialogkit.__file__).read_text()
    names = [node for node in run_time_imports(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert not [n.module for n in names if n.module not in {"__future__", "importlib", "typing"}]


@pytest.mark.parametrize("name", [n for n in errors.__dict__ if n.endswith("Error")])
def test_every_error_is_public_and_survives_pickling(name: str) -> None:
    cls = getattr(dialogkit, name)
    facts = {
        "operation": "get_bot",
        "argument": "id",
        "sent": True,
        "attempts": 2,
        "wait": 1.5,
        "status": 404,
        "body": b"{}",
        "request_id": "r1",
    }
    wanted = [key for key in facts if key in _parameters(cls)]
    error = cls("it failed", **{key: facts[key] for key in wanted})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == "it failed"
    assert {key: getattr(copy, key) for key in wanted} == {key: facts[key] for key in wanted}


def _parameters(cls: type) -> set[str]:
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            code = base.__dict__["__init__"].__code__
            return set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    return set()


def test_modules_import_in_any_order() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name != "__main__.py":
            importlib.import_module(module_name(path))
