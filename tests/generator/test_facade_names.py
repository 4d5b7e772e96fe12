"""The names that users write, as the generator reads them from a facade; and prose that uses no others."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dialogkit
from dialogkit._core.call import name_of
from dialogkit._core.client import Namespace
from generator.cli import main
from generator.facade import names_of_users
from tests.generator.conftest import ROOT, make_project
from tests.generator.test_cli import MINIMAL
from tests.support.wire import constants, operations

CLIENTS = {"hoopai": dialogkit.HoopAI, "hoverbot": dialogkit.HoverBot, "convoai": dialogkit.ConvoAI}
WORD = {"hoopai": "hoop", "hoverbot": "hover", "convoai": "convo"}


def methods(cls: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the methods that a client leads to, with what users write for them."""
    for name, member in vars(cls).items():
        inner: object = getattr(member, "func", None)  # of a cached property
        if isinstance(inner, type) and issubclass(inner, Namespace):
            yield from methods(inner, f"{path}{name}.")
        elif inspect.isfunction(member) and path and not name.startswith("_"):
            yield f"{path}{name}", member


@pytest.mark.parametrize("vendor", CLIENTS)
def test_operations_are_called_what_users_write(vendor: str) -> None:
    found = dict(methods(CLIENTS[vendor]))
    assert {name: name_of(method) for name, method in found.items()} == {name: name for name in found}
    assert {each.id: each.function for each in constants(vendor)} == {
        name: method.__name__ for name, method in found.items()
    }


@pytest.mark.parametrize("vendor", CLIENTS)
def test_docstrings_mention_operations_as_users_write_them(vendor: str) -> None:
    ids = {operation for operation, _, _ in operations(vendor)}
    found = dict(methods(CLIENTS[vendor]))
    known = {f"{WORD[vendor]}.{name}" for name in found}
    for name, method in found.items():
        mentioned = set(re.findall(r"`([\w.]+)`", inspect.getdoc(method) or ""))
        assert not mentioned & (ids - {part for path in found for part in path.split(".")}), name
        assert {each for each in mentioned if each.startswith(f"{WORD[vendor]}.")} <= known, name


@pytest.mark.parametrize("vendor", CLIENTS)
def test_the_client_says_what_any_call_can_end_in(vendor: str) -> None:
    package = inspect.getdoc(__import__(f"dialogkit.{vendor}._generated", fromlist=["_"])) or ""
    named = re.findall(r"^ +(\w+Error): ", package, re.MULTILINE)
    assert "RateLimitError" in named
    assert set(named) <= set(re.findall(r"`(\w+Error)`", inspect.getdoc(CLIENTS[vendor]) or ""))


FACADE = """
from functools import cached_property
from dialogkit._core.client import BaseClient, Namespace
from dialogkit.zoo._generated import pets as animals

class Toys(Namespace):
    get: Any = animals.get_pet

class Pets(Namespace):
    toys = cached_property(Toys)
    other = helper(animals.not_known)

class Lost(Namespace):
    lost = animals.lost_pet

class Zoo(BaseClient[Options]):
    pets = cached_property(Pets)
    @cached_property
    def more(self) -> Pets: ...
    search = paged(lambda page: page.rows, animals.search_pets)
"""


def test_a_facade_is_read_without_being_run(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(FACADE)
    assert names_of_users(tmp_path) == {
        "get_pet": "pets.toys.get",
        "not_known": "pets.other",
        "search_pets": "search",
    }
    assert names_of_users(tmp_path / "nowhere") == {}


def test_a_name_in_the_facade_is_the_name_in_the_code(tmp_path: Path) -> None:
    text = MINIMAL.replace("summary: Get a pet.", "summary: Get a pet, see `get_pet` and `petId`.")
    root = make_project(tmp_path, text.replace("version: '1'", "version: '1', x-client: zoo"))
    assert main([], root=root) == 0
    made = root / "src" / "dialogkit" / "zoo" / "_generated" / "pets.py"
    assert 'id="get_pet",' in made.read_text()
    assert "see `get_pet` and `pet_id`" in made.read_text()
    (made.parents[1] / "client.py").write_text(FACADE)
    assert main(["--check"], root=root) == 1
    assert main([], root=root) == 0
    assert 'id="pets.toys.get",\n    function="get_pet",' in made.read_text()
    assert "see `zoo.pets.toys.get` and `pet_id`" in made.read_text()


def test_the_documents_of_this_repository_name_every_operation() -> None:
    for vendor in CLIENTS:
        names = names_of_users(ROOT / "src" / "dialogkit" / vendor)
        assert set(names) == {operation for operation, _, _ in operations(vendor)}
