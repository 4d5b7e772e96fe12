"""The house rules that a machine can check: who may import whom, who knows what, what is public."""

from __future__ import annotations

import ast
import importlib
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import dialogkit
import dialogkit._core
from dialogkit._core import errors
from tests.support.house import SOURCE, Import, all_imports, arrows, circles, lazily_imported, modules, room_of

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = {path.stem for path in (ROOT / "openapi").glob("*.yaml")}  # so the rules hold for the next one, too
HAND_WRITTEN = sorted(
    path
    for folder in (SOURCE, ROOT / "generator", ROOT / "examples")
    for path in folder.rglob("*.py")
    if "_generated" not in path.parts
)


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
    found = ((each.module, each.name) for each in house()[1] if house()[0][each.importer] == path)
    wrong = [name for pair in found if not may_import(path, name := ".".join(pair))]
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


@cache
def house() -> tuple[dict[str, Path], list[Import]]:
    files = modules()
    return files, all_imports(files)


def plan() -> dict[str, int]:
    """Return the rooms of `_core` with their floors, as the map on its wall says."""
    lines = re.findall(r"^ +(\d) +(\w+) {2,}\S", dialogkit._core.__doc__ or "", re.MULTILINE)
    return {room: int(floor) for floor, room in lines}


def test_the_map_shows_every_room() -> None:
    core = SOURCE / "_core"
    rooms = {path.stem for path in core.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert plan().keys() == rooms - {"__init__"}


def test_the_plan_on_the_wall_is_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawn = {
        room: int(floor)
        for floor, rooms in re.findall(r"^ +(\d)((?: +[a-z]+)+)$", text, re.MULTILINE)
        for room in rooms.split()
    }
    assert drawn == plan()
    rows = "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", rows)) >= plan().keys(), "each room has its two lines: may, may not"


def test_links_between_our_pages_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "openapi" / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"


def upstairs(found: list[Import], floor: Mapping[str, int]) -> list[Import]:
    """Return the imports that do not lead to a lower floor."""
    return [
        each
        for each in found
        if (own := room_of(each.importer)) is not None
        and (other := room_of(each.module, each.name)) is not None
        and own != other
        and floor[other] >= floor[own]
    ]


def test_imports_lead_downstairs() -> None:
    assert not upstairs(house()[1], plan())


@pytest.mark.parametrize(
    ("importer", "module", "name"),
    [
        ("dialogkit._core.http.pool", "dialogkit._core.sending.sender", "Sender"),
        ("dialogkit._core.files.uploads", "dialogkit._core.codec.arguments", "invalid"),
        ("dialogkit._core.auth.oauth", "dialogkit._core", "client"),
        ("dialogkit._core.errors", "dialogkit._core.events", "Drift"),
    ],
)
def test_the_map_forbids_what_it_should(importer: str, module: str, name: str) -> None:
    assert upstairs([Import(importer, module, name)], plan())


def test_rooms_form_no_circle() -> None:
    assert circles(arrows(house()[1])) == []
    assert circles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == [{"a", "b", "c"}]


def public_names(room: Path) -> set[str]:
    """Return what a room's docstring says that others use."""
    docstring = ast.get_docstring(ast.parse(room.read_text())) or ""
    return {
        name for listed in re.findall(r"Others use: ([^.]+)\.", docstring) for name in re.findall(r"`(\w+)`", listed)
    }


ROOMS = [
    (within, path.parent.name)
    for within in ("dialogkit._core",)
    for path in sorted(SOURCE.parent.joinpath(*within.split(".")).glob("*/__init__.py"))
]


@pytest.mark.parametrize(("within", "room"), ROOMS)
def test_outside_a_room_only_its_public_names_are_used(within: str, room: str) -> None:
    files, found = house()
    inward = (each for each in found if room_of(each.module, each.name, within) == room)
    used = {each.name for each in inward if room_of(each.importer, within=within) != room}
    assert used == public_names(files[f"{within}.{room}"])


def test_no_private_name_is_imported() -> None:
    known = {"_core", "_generated"}
    assert not [each for each in house()[1] if each.name.startswith("_") and each.name not in known]


def foreign_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
        else:
            yield lazily_imported(node).partition(".")[0]


ENGINES = {"aiohttp", "httpcore", "httpx", "httpx2", "yarl"}


def test_only_http_knows_the_engines() -> None:
    for name, path in house()[0].items():
        if not name.startswith(("dialogkit._core.http", "dialogkit.testing")):
            known = ENGINES.intersection(foreign_imports(path))
            # One public signature shows a type of httpx: what `http_client` takes.
            assert known <= ({"httpx"} if name == "dialogkit._core.client" else set()), f"{name} knows {known}"


def test_no_folder_is_flat() -> None:
    for folder in {path.parent for path in SOURCE.rglob("*.py")}:
        files = [path for path in folder.glob("*.py") if "_generated" not in path.parts]
        assert len(files) <= 25, f"{folder.relative_to(ROOT)} has {len(files)} files: it wants rooms"


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length < 50, f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"


def run_time_imports(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


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
    for name in house()[0]:
        if not name.endswith("__main__"):
            importlib.import_module(name)
