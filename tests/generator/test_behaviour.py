"""What is generated for the nasty document, at work: over the real client, against a real server."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from email import message_from_bytes
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from dialogkit._core.client import BaseClient, ClientOptions, Default, Platform, Secret
from dialogkit._core.errors import ConfigurationError, InvalidArgumentError
from tests.support.servers import ReceivedRequest, Server, answer


class Zoo(BaseClient[ClientOptions]):
    """A client of the nasty document's platform."""

    zoo_id: str | None = "zoo_1"

    def __init__(self, url: str) -> None:
        super().__init__(Secret("key"), {"base_url": url})

    @classmethod
    def _platform(cls, options: ClientOptions) -> Platform:
        default = Default(keyword="zoo_id", env="ZOO_ID", value=cls.zoo_id)
        return Platform(name="Zoo", base_url="", api_key_env="ZOO_KEY", defaults={"zoo_id": default})


class Homeless(Zoo):
    zoo_id = None


@contextmanager
def serving(reply: object = None, *, body: bytes | None = None, status: int = 200) -> Generator[Server]:
    content = json.dumps(reply).encode() if body is None else body
    with Server(answer(content, status=status, headers=[("content-type", "application/json")])) as server:
        yield server


def query(request: ReceivedRequest) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(request.target).query, keep_blank_values=True)


def module(package: Path, name: str) -> ModuleType:
    return import_module(f"{package.name}.{name}")


async def test_query_parameters_reach_the_wire_in_the_document_s_spelling(pets: ModuleType) -> None:
    with serving({"pets": [{"id": "p1"}], "next_cursor": None}) as server:
        async with Zoo(server.url) as zoo:
            page = await pets.search_pets(
                zoo,
                name="re",
                kinds=("cat", "a new one"),
                ids=[1, 2],
                start_after=[datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), 7],
                born_after=datetime(2024, 5, 1, tzinfo=timezone.utc),
                born_before=date(2024, 6, 1),
                from_="here",
                list=False,
                weight=1.5,
                x_trace_id="t1",
            )
        (request,) = server.requests
    assert urlsplit(request.target).path == "/pets/"
    assert query(request) == [
        ("name", "re"),
        ("kinds", "cat,a new one"),
        ("ids", "1"),
        ("ids", "2"),
        ("startAfter", "1000"),
        ("startAfter", "7"),
        ("bornAfter", "2024-05-01T00:00:00Z"),
        ("bornBefore", "2024-06-01"),
        ("from", "here"),
        ("list", "false"),
        ("weight", "1.5"),
        ("zooId", "zoo_1"),
    ]
    assert request.header("x-trace-id") == "t1"
    assert page.pets[0].id == "p1"
    assert "next_cursor" in page.model_fields_set


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "x"}, "at least 2"),
        ({"name": "re", "limit": 0}, "limit"),
        ({"name": "re", "limit": "5"}, "limit"),
        ({"name": "re", "ids": [0]}, "ids"),
        ({"kinds": "cat"}, "kinds"),
        ({"kinds": ["a", "b", "c", "d"]}, "kinds"),
        ({}, "`name`, `kinds`"),
        ({"name": "re", "born_after": "2024-01-01"}, "`born_before`"),
    ],
)
async def test_what_breaks_a_limit_is_not_sent(pets: ModuleType, arguments: dict[str, Any], words: str) -> None:
    with serving({"pets": []}) as server:
        async with Zoo(server.url) as zoo:
            with pytest.raises(InvalidArgumentError, match=r"(?i)nothing was sent") as caught:
                await pets.search_pets(zoo, **arguments)
        assert server.requests == []
    assert words in str(caught.value)


async def test_a_body_is_what_was_given_and_nothing_else(pets: ModuleType, models: ModuleType) -> None:
    with serving({"pet": {"id": "p1", "mother": {"id": "p0"}, "kind": "unheard-of"}}, status=201) as server:
        async with Zoo(server.url) as zoo:
            pet = await pets.create_pet(
                zoo,
                name="Rex",
                display_name=None,
                from_="here",
                urls=["u"],
                log_level=3,
                id="1",
                revision="2",
                parent=models.Pet(id="p0"),
                friends=({"id": "p2", "born": "2024-01-01"}, models.Pet(id="p3")),
                keeper=None,
                labels={"a": ("b",)},
                mail=["m"],
                seen=datetime(1970, 1, 2, tzinfo=timezone.utc),
                anything={"k": None},
            )
        (request,) = server.requests
    assert json.loads(request.body) == {
        "name": "Rex",
        "zooId": "zoo_1",
        "displayName": None,
        "from": "here",
        "URLs": ["u"],
        "log-level": 3,
        "_id": "1",
        "__v": "2",
        "parent": {"id": "p0"},
        "friends": [{"id": "p2", "born": "2024-01-01"}, {"id": "p3"}],
        "keeper": None,
        "labels": {"a": ["b"]},
        "mail": ["m"],
        "seen": 86_400,
        "anything": {"k": None},
    }
    assert pet.mother == models.Pet(id="p0")
    assert pet.kind == "unheard-of"


async def test_the_client_fills_in_what_it_knows_and_asks_for_what_it_does_not(pets: ModuleType) -> None:
    with serving({"id": "p1"}) as server:
        async with Zoo(server.url) as zoo:
            await pets.get_pet(zoo, "p/1")
            await pets.get_pet(zoo, "p1", zoo_id="other")
        async with Homeless(server.url) as zoo:
            with pytest.raises(ConfigurationError, match="zoo_id"):
                await pets.get_pet(zoo, "p1")
        assert [request.target for request in server.requests] == ["/zoos/zoo_1/pets/p%2F1", "/zoos/other/pets/p1"]


async def test_constants_are_sent_although_nobody_sets_them(pets: ModuleType, models: ModuleType) -> None:
    with serving({"id": "p1"}) as server:
        async with Zoo(server.url) as zoo:
            await pets.update_pet(zoo, "p1", kind="cat", details={"minutes": 3})
            await pets.update_pet(zoo, "p1", kind="cat", details=models.CloseDetails())
            with pytest.raises(InvalidArgumentError, match="`display_name`, `kind`"):
                await pets.update_pet(zoo, "p1")
        bodies = [json.loads(request.body) for request in server.requests]
    assert bodies == [
        {"kind": "cat", "details": {"minutes": 3, "kind": "slow"}},
        {"kind": "cat", "details": {"kind": "slow"}},
    ]


async def test_no_content_is_none_and_delete_may_have_a_body(pets: ModuleType) -> None:
    with serving(body=b"", status=204) as server:
        async with Zoo(server.url) as zoo:
            assert await pets.delete_pet(zoo, "p1", reason="old") is None
        assert json.loads(server.requests[0].body) == {"reason": "old"}


async def test_unions_are_told_apart_by_their_tag(zoo_package: Path, models: ModuleType) -> None:
    rules = module(zoo_package, "rules")
    reply = {
        "rules": [
            {"type": "open", "name": "a", "details": {"doors": 2}},
            {"type": "close", "name": "b"},
            {"type": "paint", "name": "c", "details": {"colour": "red"}},
        ]
    }
    with serving(reply) as server:
        async with Zoo(server.url) as zoo:
            found = await rules.create_rule(zoo, type="open", name="a", details=models.OpenDetails(doors=2))
            with pytest.raises(InvalidArgumentError, match="details"):
                await rules.create_rule(zoo, type="open", name="a", details={"doors": "two"})
            await rules.create_rule(zoo, type="paint", name="c", details={"colour": "red"})
        bodies = [json.loads(request.body) for request in server.requests]
    assert [type(rule).__name__ for rule in found.rules] == ["OpenRule", "CloseRule", "UnknownRuleInput"]
    assert found.rules[2].details == {"colour": "red"}
    assert bodies == [
        {"type": "open", "name": "a", "details": {"doors": 2}},
        {"type": "paint", "name": "c", "details": {"colour": "red"}},
    ]


async def test_a_lone_object_is_a_list_of_one_and_a_body_may_be_a_list(zoo_package: Path) -> None:
    trees = module(zoo_package, "collections")
    with serving({"branches": [{"tree": {"fruit": "apple"}}]}) as server:
        async with Zoo(server.url) as zoo:
            (tree,) = await trees.list_trees(zoo)
            await trees.replace_trees(zoo, body=[tree, {"fruit": {"fruit": "pear"}}])
            with pytest.raises(InvalidArgumentError, match="at most 2"):
                await trees.replace_trees(zoo, body=[tree] * 3)
        body = json.loads(server.requests[1].body)
    assert tree.branches[0].tree.fruit == "apple"
    assert body == [{"branches": [{"tree": {"fruit": "apple"}}]}, {"fruit": {"fruit": "pear"}}]


async def test_files_go_up_as_parts(zoo_package: Path) -> None:
    files = module(zoo_package, "files")
    with serving({"a.txt": "url"}) as server:
        async with Zoo(server.url) as zoo:
            stored = await files.upload_files(zoo, "f1", attachments=[("a.txt", b"one"), ("b.txt", b"two")])
        (request,) = server.requests
    kind = f"Content-Type: {request.header('content-type')}\r\n\r\n".encode()
    parts = {
        (part.get_param("name", header="content-disposition"), part.get_filename()): part.get_payload(decode=True)
        for part in message_from_bytes(kind + request.body).walk()
        if not part.is_multipart()
    }
    assert parts == {
        ("attachments", "a.txt"): b"one",
        ("attachments", "b.txt"): b"two",
        ("zooId", None): b"zoo_1",
    }
    assert stored == {"a.txt": "url"}


async def test_bytes_and_text_come_down(zoo_package: Path) -> None:
    files = module(zoo_package, "files")
    with serving(body=b"\x00bytes") as server:
        async with Zoo(server.url) as zoo, await files.download_file(zoo, "f1") as stream:
            assert await stream.read() == b"\x00bytes"
    with serving(body="grüße".encode()) as server:
        async with Zoo(server.url) as zoo:
            assert await files.read_file(zoo, "f1") == "grüße"


async def test_forms_are_forms_and_go_without_the_client_s_credential(zoo_package: Path) -> None:
    files = module(zoo_package, "files")
    with serving({"access_token": "at", "expires_in": 1}) as server:
        async with Zoo(server.url) as zoo:
            token = await files.get_token(zoo, grant_type="code", client_secret="s 1")
        (request,) = server.requests
    assert parse_qsl(request.body.decode()) == [("grant_type", "code"), ("client_secret", "s 1")]
    assert request.header("authorization") is None
    assert token.access_token == "at"
    assert "at" not in repr(token)


def test_events_are_found_by_name(zoo_package: Path, models: ModuleType) -> None:
    events = module(zoo_package, "webhooks").EVENTS
    assert {name: make() for name, make in events.items()} == {"PetBorn": models.PetBornEvent}
    event = models.PetBornEvent.model_validate_json('{"type": "PetBorn", "pet": {"id": "p"}, "new": 1}')
    assert event.model_extra == {"new": 1}


def test_signatures(pets: ModuleType) -> None:
    parameters = inspect.signature(pets.get_pet).parameters
    assert [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD] == [
        "client",
        "pet_id",
    ]
    assert list(parameters)[2:] == ["zoo_id", "options"]
    assert parameters["zoo_id"].annotation == "str | None"
    assert inspect.signature(pets.create_pet).parameters["display_name"].annotation == "str | Omit | None"


def test_functions_cost_no_models_before_they_are_called(zoo_package: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(zoo_package.parent)!r}); import zoo_sdk.pets; "
        "assert 'zoo_sdk.models' not in sys.modules; zoo_sdk.pets.SEARCH_PETS.result_adapter; "
        "assert 'zoo_sdk.models' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("key", ["total", "count", "how-many"])
def test_a_property_is_read_by_any_of_its_names_and_written_by_its_own(models: ModuleType, key: str) -> None:
    page = models.PetPage.model_validate({"pets": [], key: 2})
    assert page.total == 2
    assert page.model_dump(exclude_unset=True) == {"pets": [], "total": 2}
    assert models.PetPage.model_validate({"pets": [], "count": 1, "total": 2}).total == 2
