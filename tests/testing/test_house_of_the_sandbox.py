"""The rooms of the sandbox: who may import whom, lazily or for types only, too, and what others use of each."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import dialogkit.testing
from tests.support.house import SOURCE, Import, all_imports, arrows, circles, modules, room_of

HERE = "dialogkit.testing"
ROOT = SOURCE / "testing"
OPEN = frozenset({"__init__", "__main__"})
"""These may know all: the public names, and the command that is made of them."""
PLATFORMS = frozenset({"hoopai", "hoverbot", "convoai"})
FOLDERS = ("engine", "hooks", "hoopai", "serving")


@cache
def imports() -> list[Import]:
    return [each for each in all_imports(modules()) if room(each) is not None]


def room(each: Import) -> str | None:
    """Return the room that an import is made in, unless that may know all."""
    own = room_of(each.importer, within=HERE)
    return None if own in OPEN else own


def plan() -> dict[str, int]:
    """Return the rooms with their floors, as the map on the wall says."""
    lines = re.findall(r"^ +(\d) +(\w+) {2,}\S", dialogkit.testing.__doc__ or "", re.MULTILINE)
    return {name: int(floor) for floor, name in lines}


def test_the_map_shows_every_room() -> None:
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert plan().keys() == rooms - OPEN


def test_imports_lead_downstairs() -> None:
    floor = plan()
    wrong = [
        each
        for each in imports()
        if (other := room_of(each.module, each.name, HERE)) in floor
        and other != (own := room(each))
        and floor[other or ""] >= floor[own or ""]
    ]
    assert not wrong


def test_rooms_form_no_circle() -> None:
    assert circles(arrows(imports(), HERE)) == []


def test_only_the_sandbox_knows_a_platform_by_name_and_that_is_hoopai() -> None:
    knowing = {
        (room(each), other)
        for each in imports()
        if (other := room_of(each.module, each.name, HERE)) in PLATFORMS and other != room(each)
    }
    assert knowing == {("sandbox", "hoopai")}, "for its conveniences; `platforms` names modules, and imports none"


def used_of(name: str) -> set[str]:
    """Return what is used of a room outside it, the public names included."""
    found = [each for each in all_imports(modules()) if room_of(each.module, each.name, HERE) == name]
    return {each.name for each in found if each.importer == HERE or room(each) not in {None, name}}


@pytest.mark.parametrize("name", FOLDERS)
def test_outside_a_room_only_its_public_names_are_used(name: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / name / "__init__.py").read_text())) or ""
    listed = {each for part in re.findall(r"Others use: ([^.]+)\.", said) for each in re.findall(r"`(\w+)`", part)}
    assert used_of(name) == listed


def test_no_folder_is_crowded() -> None:
    for folder in {Path(path).parent for path in ROOT.rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= 25, f"{folder.relative_to(ROOT)} is crowded"
