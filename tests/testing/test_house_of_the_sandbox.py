"""The rooms of the sandbox: who may import whom, lazily or for types only, too, and that no circle is left."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "dialogkit" / "testing"
PLATFORMS = frozenset({"hoopai", "hoverbot", "convoai"})
FLOORS = (
    {"errors", "token_store_contract"},
    {"hooks"},
    {"engine"},
    {"faults", *PLATFORMS},
    {"platforms", "serving"},
    {"sandbox", "signer"},
    {"__init__", "__main__", "pytest_plugin"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem != "__init__")


def room(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of the sandbox that a file imports from; `__init__` for its public names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path.name} imports relatively"
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("dialogkit.testing"):
                first = name.removeprefix("dialogkit.testing").split(".")[1:2]
                found.add(first[0] if first and first[0] in FLOOR else "__init__")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_from_lower_floors_only(path: Path) -> None:
    own = room(path)
    above = {each for each in imported_rooms(path) - {own} if FLOOR[each] >= FLOOR[own]}
    # What users hold in their hands may use the public names, which load nothing before they are used.
    allowed = {"__init__"} if own in FLOORS[-1] else set[str]()
    assert above <= allowed, f"{own} may not know {', '.join(sorted(above - allowed))}"


def test_every_room_has_a_floor_and_says_what_it_is_for() -> None:
    assert {room(path) for path in FILES} == FLOOR.keys() - {"__init__"}
    for path in FILES:
        if path.stem == "__init__" or path.parent == ROOT:
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} says nothing"


def test_only_the_list_of_platforms_and_what_is_hoopai_s_name_a_platform() -> None:
    knowing = {
        str(path.relative_to(ROOT)): named
        for path in FILES
        if room(path) not in PLATFORMS and (named := imported_rooms(path) & PLATFORMS)
    }
    assert knowing == {"sandbox.py": {"hoopai"}}, "for its conveniences; `platforms` names modules, and imports none"


def test_no_folder_is_crowded() -> None:
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 25, f"{folder.relative_to(ROOT)} is crowded"
