"""What is generated is called, with each kind of argument in each place, and goes out as the document says."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from email import message_from_bytes
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import anyio
import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import Unpack

from dialogkit._core.client import BaseClient, ClientOptions, Default, Platform, Secret
from dialogkit._core.errors import InvalidArgumentError
from generator.cli import main
from tests.generator.conftest import make_project
from tests.support.wire import Wire

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


class Kind(NamedTuple):
    """A kind of argument: its schema and annotation, values with the text of each, and values that it is not."""

    schema: Mapping[str, Any]
    annotation: str
    texts: Mapping[Any, str]
    wrong: tuple[Any, ...]


KINDS = {
    "string": Kind({"type": "string"}, "str", {"T 1/ü": "T 1/ü", "5": "5"}, (5, True, 1.5, b"x", NOON)),
    "short": Kind({"type": "string", "maxLength": 3}, "str", {"abc": "abc"}, ("abcd", 5)),
    "uuid": Kind({"type": "string", "format": "uuid"}, "str", {"6f1c": "6f1c"}, (5,)),
    "integer": Kind({"type": "integer"}, "int", {7: "7", -1: "-1", 0: "0", 10**20: "1" + "0" * 20}, ("7", True, 1.5)),
    "limited": Kind({"type": "integer", "minimum": 1}, "int", {1: "1"}, (0, "1")),
    "number": Kind({"type": "number"}, "float", {1.5: "1.5", -2.0: "-2", 3: "3", 1e-7: "0.0000001"}, ("1.5", math.nan)),
    "boolean": Kind({"type": "boolean"}, "bool", {True: "true", False: "false"}, (1, 0, "true")),
    "day": Kind(
        {"type": "string", "format": "date"},
        "date | str",
        {date(2024, 5, 1): "2024-05-01", "today": "today"},
        (20240501, True),
    ),
    "moment": Kind(
        {"type": "string", "format": "date-time"},
        "datetime | date | str",
        {NOON: "2024-05-01T12:00:00Z", "now": "now"},
        (1714564800, datetime(2024, 5, 1)),  # noqa: DTZ001 - that it has no time zone is what is wrong with it
    ),
    "milliseconds": Kind(
        {"type": "integer", "format": "unix-ms"}, "datetime | int", {NOON: "1714564800000", 5: "5"}, ("5", 1.5)
    ),
    "seconds": Kind({"type": "integer", "format": "unix-s"}, "datetime | int", {NOON: "1714564800", 5: "5"}, ("5",)),
    "colour": Kind(
        {"$ref": "#/components/schemas/Colour"}, "models.Colour", {"red": "red", "no/known": "no/known"}, (5,)
    ),
    "code": Kind({"$ref": "#/components/schemas/Code"}, "models.Code", {1: "1", 99: "99"}, ("1", 1.5)),
    "alias": Kind({"$ref": "#/components/schemas/Id"}, "models.Id", {"a?b": "a?b"}, (5, "x" * 9)),
}
PLACES = ("path", "query", "header", "form", "parts", "json")
HEADER_TEXTS = {"T 1/ü": "T 1/ü"}


def operation(name: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["things"],
        "summary": "Do it.",
        "responses": {"200": {"description": "Done."}},
        **more,
    }


def parameter(place: str, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "description": "It.", "required": True, "schema": {"type": "string"}, **more}


def body(media: str, component: str) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": {"$ref": f"#/components/schemas/{component}"}}}}


def document() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {
        "Colour": {"type": "string", "description": "A colour.", "enum": ["red", "green"]},
        "Code": {"type": "integer", "description": "A code.", "enum": [1, 2]},
        "Id": {"type": "string", "description": "An id.", "maxLength": 8},
    }
    for name, kind in KINDS.items():
        component = f"{name.capitalize()}Body"
        schemas[component] = {
            "type": "object",
            "description": "It.",
            "required": ["theValue"],
            "properties": {"theValue": {**kind.schema, "description": "It."}},
        }
        for place, media in (("form", "application/x-www-form-urlencoded"), ("parts", "multipart/form-data")):
            call = operation(f"{place}_{name}", requestBody=body(media, component))
            paths[f"/{place}/{name}"] = {"post": call}
        paths[f"/json/{name}"] = {"post": operation(f"json_{name}", requestBody=body("application/json", component))}
        for place, wire in (("path", "theValue"), ("query", "theValue"), ("header", "The-Value")):
            given = parameter(place, wire, schema=dict(kind.schema), **{"x-python-name": "the_value"})
            suffix = "/{theValue}/end" if place == "path" else ""
            paths[f"/{place}/{name}{suffix}"] = {"get": operation(f"{place}_{name}", parameters=[given])}
    paths["/locations/{loc}/things/{no}"] = {
        "get": operation(
            "get_renamed",
            parameters=[
                parameter("path", "loc", **{"x-python-name": "thing_place"}),
                parameter("path", "no", **{"x-python-name": "location_number"}),
            ],
        )
    }
    schemas["Change"] = {
        "type": "object",
        "description": "A change.",
        "required": ["kind"],
        "properties": {
            "kind": {"type": "string", "const": "change", "description": "What it is."},
            "archived": {"type": "boolean", "const": True, "description": "Archives it."},
        },
    }
    schemas["ChangeList"] = {
        "type": "array",
        "description": "Changes.",
        "items": {"$ref": "#/components/schemas/Change"},
    }
    paths["/changes"] = {"patch": operation("change", requestBody=body("application/json", "ChangeList"))}
    paths["/teams/{a}/{b}/{c}/"] = {
        "get": operation(
            "get_mixed",
            parameters=[
                parameter("path", "a", **{"x-python-name": "c"}),
                parameter("path", "b", **{"x-python-name": "team_id", "x-from-client": "team_id"}),
                parameter("path", "c", schema={"type": "integer"}, **{"x-python-name": "b"}),
            ],
        )
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kinds", "version": "1", "x-account": "team_id"},
        "security": [{"bearer": []}],
        "tags": [{"name": "things", "description": "Things."}],
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}, "schemas": schemas},
    }


class Client(BaseClient[ClientOptions]):
    """A client of the document's platform."""

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        super().__init__(Secret("key"), options)

    @classmethod
    def _platform(cls, options: ClientOptions) -> Platform:
        team = Default(keyword="team_id", env="KINDS_TEAM_ID", value="own")
        return Platform(
            name="Kinds",
            base_url="https://kinds.example/v1",
            api_key_env="KINDS",
            defaults={"team_id": team},
            account="team_id",
        )


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    root = make_project(tmp_path_factory.mktemp("kinds"), yaml.safe_dump(document(), sort_keys=False), "kinds")
    assert main(["kinds"], root=root) == 0
    place = tmp_path_factory.mktemp("importable")
    shutil.copytree(root / "src" / "dialogkit" / "kinds" / "_generated", place / "kinds_sdk")
    sys.path.insert(0, str(place))
    yield importlib.import_module("kinds_sdk.things")
    sys.path.remove(str(place))
    for name in [name for name in sys.modules if name.partition(".")[0] == "kinds_sdk"]:
        del sys.modules[name]


def sent_by(function: Any, *args: Any, **kwargs: Any) -> httpx.Request:
    """Call a function, and return the request that went out."""
    wire = Wire()

    async def call() -> None:
        async with Client(http_client=wire.client()) as client:
            await function(client, *args, **kwargs)

    anyio.run(call)
    return wire.last


def read(place: str, request: httpx.Request) -> Any:
    """Return what stands for the argument in a request."""
    match place:
        case "path":
            raw = request.url.raw_path.decode()
            assert raw.count("/") == 5
            assert raw.endswith("/end")
            return unquote(raw.split("/")[4])
        case "query":
            ((name, value),) = parse_qsl(request.url.query.decode(), strict_parsing=True)
            assert name == "theValue"
            return value
        case "header":
            return request.headers["the-value"]
        case "form":
            ((name, value),) = parse_qsl(request.content.decode(), strict_parsing=True)
            assert name == "theValue"
            return value
        case "parts":
            kind = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
            (part,) = [each for each in message_from_bytes(kind + request.content).walk() if not each.is_multipart()]
            assert part.get_param("name", header="content-disposition") == "theValue"
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return content.decode()
        case _:
            ((name, value),) = json.loads(request.content).items()
            assert name == "theValue"
            return value


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_each_kind_of_argument_goes_out_as_the_document_says(things: ModuleType, place: str, name: str) -> None:
    function, kind = getattr(things, f"{place}_{name}"), KINDS[name]
    assert inspect.signature(function).parameters["the_value"].annotation == kind.annotation
    for value, text in kind.texts.items():
        if place == "header" and not text.isascii():
            continue
        found = read(place, sent_by(function, value) if place == "path" else sent_by(function, the_value=value))
        if place == "json":
            found = {True: "true", False: "false"}[found] if isinstance(found, bool) else _plain(found)
        assert found == text


def _plain(value: Any) -> str:
    return format(Decimal(repr(value)).normalize(), "f") if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_of_another_kind_is_refused_by_name_and_not_sent(things: ModuleType, place: str, name: str) -> None:
    function = getattr(things, f"{place}_{name}")
    for value in KINDS[name].wrong:
        with pytest.raises(InvalidArgumentError, match=r"the_value .*Nothing was sent") as caught:
            sent_by(function, value) if place == "path" else sent_by(function, the_value=value)
        assert caught.value.argument == "the_value"


@pytest.mark.parametrize("name", ["string", "short", "day", "colour", "alias"])
@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_path_keeps_its_shape(things: ModuleType, name: str, value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="the_value should be an id"):
        sent_by(getattr(things, f"path_{name}"), value)


ids = st.text(min_size=1, max_size=20).filter(lambda text: text not in {".", ".."} and text.isprintable())
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(place=ids, number=ids)
def test_renamed_placeholders_are_filled_by_their_names(things: ModuleType, place: str, number: str) -> None:
    for request in (
        sent_by(things.get_renamed, place, number),
        sent_by(things.get_renamed, location_number=number, thing_place=place),
    ):
        *_, first, _, second = request.url.raw_path.decode().split("/")
        assert (unquote(first), unquote(second)) == (place, number)


@quick
@given(first=ids, last=st.integers(), team=st.none() | ids)
def test_names_that_are_placeholders_elsewhere_do_not_mix(
    things: ModuleType, first: str, last: int, team: str | None
) -> None:
    request = sent_by(things.get_mixed, first, last, team_id=team)
    parts = request.url.raw_path.decode().removeprefix("/v1/teams/").split("/")
    assert [unquote(part) for part in parts] == [first, team or "own", str(last), ""]


@quick
@given(value=st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_a_path_are_read_as_they_were_given(things: ModuleType, value: float) -> None:
    assert float(read("path", sent_by(things.path_number, value))) == float(value)


@quick
@given(day=st.dates(), moment=st.datetimes(timezones=st.just(timezone.utc)))
def test_dates_in_a_path_are_read_as_they_were_given(things: ModuleType, day: date, moment: datetime) -> None:
    assert date.fromisoformat(read("path", sent_by(things.path_day, day))) == day
    text = read("path", sent_by(things.path_moment, moment))
    assert datetime.fromisoformat(text.replace("Z", "+00:00")) == moment


def test_templates_are_in_python_names(things: ModuleType) -> None:
    assert things.GET_RENAMED.path == "/locations/{thing_place}/things/{location_number}"
    assert things.GET_MIXED.path == "/teams/{c}/{team_id}/{b}/"
    assert "`GET /locations/{loc}/things/{no}`" in (things.get_renamed.__doc__ or "")


def test_only_what_is_no_plain_string_costs_a_model(things: ModuleType) -> None:
    checked = {name for name in KINDS if getattr(things, f"PATH_{name.upper()}").path_adapter is not None}
    assert checked == KINDS.keys() - {"string", "uuid", "colour"}


def test_the_operation_says_which_argument_names_the_account(things: ModuleType) -> None:
    assert things.GET_MIXED.account == ("path", "team_id")
    assert things.GET_RENAMED.account is None


async def test_credentials_and_limits_follow_the_account_that_a_call_names(things: ModuleType) -> None:
    told: list[str | None] = []
    async with Client(http_client=Wire().client(), on_request=lambda event: told.append(event.location_id)) as client:
        await things.get_mixed(client, "x", 1)
        await things.get_mixed(client, "x", 1, team_id="other")
        await things.get_renamed(client, "x", "y")
    assert told == ["own", "other", "own"]


def test_a_constant_is_sent_if_it_is_required_or_given(things: ModuleType) -> None:
    models = importlib.import_module("kinds_sdk.models")
    changes = [{}, {"archived": True}, models.Change(), models.Change(archived=True)]
    assert json.loads(sent_by(things.change, body=changes).content) == [
        {"kind": "change"},
        {"archived": True, "kind": "change"},
        {"kind": "change"},
        {"archived": True, "kind": "change"},
    ]
