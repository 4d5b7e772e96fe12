from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.call import OMIT, Call, Operation, Position
from dialogkit._core.codec.models import Arguments
from dialogkit._core.codec.text import scalar
from dialogkit._core.errors import ConfigurationError, InvalidArgumentError
from dialogkit._core.http.transport import Request
from dialogkit._core.http.urls import check_url
from dialogkit._core.lists.cursors import encode_cursor
from dialogkit._core.sending.encoding import encode
from dialogkit._core.sending.settings import Settings
from tests._core.toy import (
    CREATE_THING,
    GET_THING,
    KEY,
    LIST_THINGS,
    PUT_THING,
    UPLOAD_THING,
    Day,
    Interval,
    Toy,
    ToyOptions,
)

TOKEN: Operation[Any] = Operation(
    id="get_token", method="POST", path="/oauth/token", retry="never-after-sent", encoding="form", answer="json"
)


def settings_of(**options: object) -> Settings:
    given: ToyOptions = {"location_id": "loc_1", **options}  # type: ignore[typeddict-item]
    return Toy(KEY, **given)._settings


def request_of(call: Call[Any], **options: object) -> Request:
    return encode(call, settings_of(**options)).request({})


def url_of(call: Call[Any], **options: object) -> str:
    return request_of(call, **options).url.removeprefix("https://toy.example/api")


def body_of(values: Mapping[str, Any], **options: object) -> bytes:
    content = request_of(Call(CREATE_THING, body=values), **options).content
    assert isinstance(content, bytes)
    return content


def complaint(call: Call[Any]) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        encode(call, settings_of())
    assert caught.value.operation == call.operation.id
    assert str(caught.value).startswith(f"{call.operation.id}: {caught.value.argument} ")
    assert "Nothing was sent" in str(caught.value)
    assert caught.value.__context__ is None
    return caught.value


@given(st.text(min_size=1).filter(lambda text: text not in {".", ".."} and text.isprintable()))
def test_any_id_arrives_as_it_is(identifier: str) -> None:
    raw = request_of(Call(GET_THING, path={"thing_id": identifier})).target
    assert raw.count("/") == 3
    assert unquote(raw.removeprefix("/api/things/")) == identifier


@pytest.mark.parametrize("identifier", ["", ".", "..", 5, None, OMIT, "\ud800"])
def test_what_is_no_id_is_refused(identifier: object) -> None:
    assert complaint(Call(GET_THING, path={"thing_id": identifier})).argument == "thing_id"


def test_trailing_slashes_are_kept() -> None:
    assert url_of(Call(LIST_THINGS)) == "/things/?locationId=loc_1"


def test_queries() -> None:
    query = {"limit": 5, "sort_by": None, "tags": ["a b", "c&d"], "active": True, "ratio": 0.00001}
    assert url_of(Call(LIST_THINGS, query=query)) == (
        "/things/?limit=5&tags=a%20b&tags=c%26d&active=true&ratio=0.00001&locationId=loc_1"
    )
    assert url_of(Call(LIST_THINGS, query={"location_id": "loc_2"})) == "/things/?locationId=loc_2"
    assert url_of(Call(LIST_THINGS, query={"tags": ("a",)})) == "/things/?tags=a&locationId=loc_1"


@given(st.dictionaries(st.sampled_from(["tags"]), st.lists(st.text().filter(str.isprintable), min_size=1)))
def test_any_text_arrives_as_it_is(query: dict[str, list[str]]) -> None:
    request = request_of(Call(LIST_THINGS, query=query))
    pairs = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
    assert [value for name, value in pairs if name == "tags"] == query.get("tags", [])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_have_no_exponent_and_lose_nothing(number: float) -> None:
    text = scalar("op", "x", number)
    assert text is not None
    assert "e" not in text.lower()
    assert float(text) == number
    assert Decimal(text).is_finite()


def test_other_values_as_text() -> None:
    moment = datetime(2026, 3, 7, 12, tzinfo=timezone(timedelta(hours=1)))
    assert [scalar("op", "x", each) for each in (True, 7, "a", None, moment, 20.0)] == [
        "true", "7", "a", None, "2026-03-07T12:00:00+01:00", "20",
    ]  # fmt: skip
    unfit: list[object] = [float("nan"), float("inf"), {}, b""]
    for bad in unfit:
        with pytest.raises(InvalidArgumentError):
            scalar("op", "x", bad)


def test_resume_wins_over_what_was_given() -> None:
    cursor = encode_cursor("list_things", Position({"limit": 7}))
    assert url_of(Call(LIST_THINGS, query={"limit": 5, "active": False}, resume=cursor)) == (
        "/things/?limit=7&active=false&locationId=loc_1"
    )
    with pytest.raises(InvalidArgumentError, match="resume"):
        encode(Call(LIST_THINGS, resume="rubbish"), settings_of())


def test_a_missing_location_says_how_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOY_LOCATION_ID", raising=False)
    settings = Toy(KEY)._settings
    words = "list_things needs location_id: pass location_id= to the call, location_id= to Toy, or set TOY_LOCATION_ID"
    for call in (Call(LIST_THINGS), Call(LIST_THINGS, query={"location_id": None})):
        with pytest.raises(ConfigurationError, match=words):
            encode(call, settings)
    assert encode(Call(CREATE_THING, body={"name": "a", "location_id": None}), settings).request({}).content == (
        b'{"name":"a"}'
    )
    with pytest.raises(ConfigurationError, match="put_thing needs location_id"):
        encode(Call(PUT_THING, path={"id": "x"}, body={"name": "a"}), settings)


def test_the_location_goes_where_it_belongs() -> None:
    request = request_of(Call(PUT_THING, path={"location_id": None, "id": "x"}, body={"name": "a"}))
    assert request.target == "/api/locations/loc_1/things/x"
    assert body_of({"name": "a"}) == b'{"name":"a","locationId":"loc_1"}'
    assert body_of({"name": "a", "location_id": "own"}) == b'{"name":"a","locationId":"own"}'


def test_absent_and_null_differ() -> None:
    assert body_of({"name": "a", "note": OMIT, "location_id": "l"}) == b'{"name":"a","locationId":"l"}'
    assert body_of({"name": "a", "note": None, "location_id": "l"}) == b'{"name":"a","locationId":"l","note":null}'


SAME_DAYS: list[object] = [
    [{"intervals": [{"start_hour": 9}]}],
    ({"intervals": ({"startHour": 9},)},),
    [Day(intervals=[Interval(start_hour=9)])],
    [{"intervals": [Interval(start_hour=9)]}],
]


@pytest.mark.parametrize("days", SAME_DAYS)
def test_models_and_mappings_are_the_same(days: object) -> None:
    assert body_of({"name": "a", "working_hours": days, "location_id": "l"}) == (
        b'{"name":"a","locationId":"l","workingHours":[{"intervals":[{"startHour":9}]}]}'
    )


WRONG_BODIES: list[tuple[dict[str, object], str, str]] = [
    ({}, "name", "is required"),
    ({"name": 5}, "name", "should be a valid string, not 5"),
    ({"name": "a", "note": b"private"}, "note", "(given was a value of type bytes)"),
    ({"name": "a", "size": "big"}, "size", "should be a valid integer, or should be a valid list"),
    ({"name": "a", "size": [1, "x"]}, "size", "should be a valid integer"),
    ({"name": ""}, "name", "should have at least 1 character (given was a value of type str)"),
    (
        {"name": "a", "working_hours": [{"intervals": [{"startHour": 1}, {"startHour": 99}]}]},
        "working_hours[0].intervals[1].start_hour",
        "should be less than or equal to 23, not 99",
    ),
    (
        {"name": "a", "working_hours": [{"intervals": [{}]}]},
        "working_hours[0].intervals[0].start_hour",
        "is required",
    ),
    ({"name": "a", "working_hours": [{"intervals": None}]}, "working_hours[0].intervals", "list, not None"),
    ({"name": "a", "ratio": True}, "ratio", "should be a valid number, not True"),
]


@pytest.mark.parametrize(("values", "argument", "words"), WRONG_BODIES)
def test_wrong_bodies_name_the_argument(values: dict[str, object], argument: str, words: str) -> None:
    error = complaint(Call(CREATE_THING, body=values))
    assert error.argument == argument
    assert words in str(error)
    assert "private" not in str(error)


@pytest.mark.parametrize(
    ("query", "argument", "words"),
    [
        ({"limit": 500}, "limit", "should be less than or equal to 100, not 500"),
        ({"limit": "5"}, "limit", "should be a valid integer"),
        ({"foo": 1}, "foo", "is not an argument of this operation"),
        ({"tags": "a"}, "tags", "should be a valid list"),
        ({"ratio": float("nan")}, "ratio", "should be a finite number"),
        ({"tags": ["\ud800"]}, "tags", "valid Unicode"),
    ],
)
def test_wrong_queries_name_the_argument(query: dict[str, object], argument: str, words: str) -> None:
    error = complaint(Call(LIST_THINGS, query=query))
    assert (error.argument, words in str(error)) == (argument, True)


def test_a_required_query_argument_is_asked_for() -> None:
    class Query(Arguments):
        q: str

    operation = Operation[Any](id="find", method="GET", path="/find", retry="safe", query=lambda: Query)
    assert complaint(Call(operation)).argument == "q"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_body_carries_what_json_cannot(number: float) -> None:
    raw = Operation[Any](id="raw", method="POST", path="/raw", retry="safe")
    for call in (
        Call(CREATE_THING, body={"name": "a", "ratio": number}),
        Call(raw, body={"a": [1, {"ratio": number}]}),
    ):
        assert complaint(call).argument in {"ratio", "a[1].ratio"}
    assert complaint(Call(raw, body=number)).argument == "the body"


def test_forms() -> None:
    request = request_of(Call(TOKEN, body={"grant_type": "code", "code": "a b&c", "skip": OMIT, "n": 5}))
    assert request.content == b"grant_type=code&code=a%20b%26c&n=5"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_multipart(tmp_path: Any) -> None:
    path = tmp_path / "hello.txt"
    path.write_text("hello")
    encoded = encode(Call(UPLOAD_THING, body={"thing_id": "t1", "files": [path, b"raw"]}), settings_of())
    request = encoded.request({})
    assert isinstance(request.content, AsyncIterable)
    content = b"".join([chunk async for chunk in request.content])
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(request.headers["content-length"]) == len(content)
    assert b'name="thingId"\r\n\r\nt1\r\n' in content
    assert content.count(b'; name="fileAttachment"') == 2
    assert encoded.replayable


def test_no_body_no_content_type() -> None:
    request = request_of(Call(GET_THING, path={"thing_id": "a"}))
    assert "content-type" not in request.headers
    assert request.content is None


def test_the_credential_wins_over_every_header() -> None:
    request = encode(Call(GET_THING, path={"thing_id": "a"}), settings_of()).request({"AUTHORIZATION": "Bearer x"})
    assert [value for name, value in request.headers.items() if name.lower() == "authorization"] == ["Bearer x"]


@pytest.mark.parametrize(
    "host", ["example.com", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0"]
)
def test_plain_http_leaves_this_machine_only_on_request(host: str) -> None:
    with pytest.raises(ConfigurationError, match="not encrypted"):
        check_url(f"http://{host}/x", allow_insecure=False)
    assert check_url(f"http://{host}/x", allow_insecure=True).host == host
