from __future__ import annotations

import copy
import pickle
import warnings
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from dialogkit._core.codec.models import (
    Arguments,
    CommaSeparated,
    Model,
    always_sent,
    attach_info,
    require_one_of,
    require_together,
    tag_of,
)
from dialogkit._core.codec.moments import IsoDateTime, Timestamp, UnixMilliseconds, UnixSeconds
from dialogkit._core.response import ResponseInfo, response_info

INFO = ResponseInfo(status=200, headers={"x": "y"}, request_id="r1", attempts=1, elapsed=0.5)


class Stop(Model):
    type: Literal["stop"] = "stop"
    final_message: str | None = None
    _always = always_sent("type")


class Filter(Arguments):
    kinds: Annotated[list[str], CommaSeparated] | None = None
    start: UnixMilliseconds | None = None
    end: UnixMilliseconds | None = None
    contact: str | None = Field(default=None, serialization_alias="contactId")
    bot: str | None = None
    _one = require_one_of("contact", "bot")
    _both = require_together("start", "end")


def sent(**arguments: Any) -> dict[str, Any]:
    checked = TypeAdapter(Filter).validate_python({"bot": "b", **arguments}, strict=True)
    return checked.model_dump(mode="json", by_alias=True, exclude_unset=True)


def test_json_and_python_spelling_are_both_read() -> None:
    assert Stop.model_validate({"finalMessage": "Bye"}) == Stop(final_message="Bye")


def test_unset_fields_are_left_out_and_null_is_sent() -> None:
    assert Stop().model_dump(exclude_unset=True) == {"type": "stop"}
    assert Stop(final_message=None).model_dump(exclude_unset=True) == {"type": "stop", "finalMessage": None}


def test_unknown_fields_are_kept() -> None:
    assert Stop.model_validate({"x": 1}).model_dump()["x"] == 1


def test_the_exchange_behind_a_model_is_no_part_of_it() -> None:
    stop = Stop()
    attach_info(stop, INFO)
    assert response_info(stop) is INFO
    assert stop == Stop()
    assert "response" not in repr(stop) + stop.model_dump_json()
    for other in (copy.copy(stop), pickle.loads(pickle.dumps(stop))):
        assert other == stop


@pytest.mark.parametrize("thing", ["text", [], None, Stop()])
def test_what_no_call_returned_has_no_exchange(thing: object) -> None:
    with pytest.raises(TypeError, match=type(thing).__name__):
        response_info(thing)


def test_lists_are_joined_by_commas() -> None:
    assert sent(kinds=["a", "b"]) == {"kinds": "a,b", "bot": "b"}
    with pytest.raises(ValidationError, match="without commas"):
        sent(kinds=["a,b"])


@given(st.datetimes(timezones=st.timezones()))
def test_moments_become_whole_numbers(moment: datetime) -> None:
    elapsed = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert TypeAdapter(UnixSeconds).validate_python(moment) == elapsed // timedelta(seconds=1)
    assert TypeAdapter(UnixMilliseconds).validate_python(moment) == elapsed // timedelta(milliseconds=1)


@pytest.mark.parametrize("kind", [UnixSeconds, UnixMilliseconds, IsoDateTime])
def test_moments_without_a_time_zone_are_refused(kind: Any) -> None:
    with pytest.raises(ValidationError, match="time zone"):
        TypeAdapter(kind).validate_python(datetime(2026, 1, 1), strict=True)  # noqa: DTZ001 - the point


def test_dates_of_the_platform_are_read() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(IsoDateTime)
    assert adapter.validate_json('"2026-01-01T00:00:00.000Z"') == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert isinstance(adapter.validate_json('"2026-01-01T00:00:00"'), datetime)
    assert adapter.validate_json('"soon"') == "soon"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"seconds":1784283629,"nanoseconds":850000000}', datetime(2026, 7, 17, 10, 20, 29, 850_000, timezone.utc)),
        ('{"_seconds":1784283629,"_nanoseconds":0}', datetime(2026, 7, 17, 10, 20, 29, 0, timezone.utc)),
        ('{"seconds":-1}', datetime(1969, 12, 31, 23, 59, 59, 0, timezone.utc)),
        ('"2026-07-17T10:20:29Z"', datetime(2026, 7, 17, 10, 20, 29, 0, timezone.utc)),
        ("1784283629850", datetime(2026, 7, 17, 10, 20, 29, 850_000, timezone.utc)),
        ('"1784283629850"', datetime(2026, 7, 17, 10, 20, 29, 850_000, timezone.utc)),
    ],
)
def test_a_moment_is_read_in_each_of_its_forms(answer: str, expected: datetime) -> None:
    adapter: TypeAdapter[datetime] = TypeAdapter(Timestamp)
    found = adapter.validate_json(answer)
    assert (found, found.utcoffset()) == (expected, timedelta(0))
    assert adapter.validate_json(adapter.dump_json(found)) == expected


@pytest.mark.parametrize(
    "answer",
    ["{}", '{"nanoseconds":1}', '{"seconds":"1"}', '{"seconds":true}', '{"seconds":1,"more":2}', '{"seconds":1.5}']
    + [f'{{"seconds":{"9" * digits}}}' for digits in (13, 40, 400)]
    + ['{"seconds":1,"nanoseconds":' + "9" * 60 + "}"],
)
def test_an_object_that_is_no_moment_is_refused(answer: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Timestamp).validate_json(answer)


def test_one_of_several_is_needed() -> None:
    assert sent(contact="c") == {"bot": "b", "contactId": "c"}
    with pytest.raises(ValidationError, match="at least one of `contact`, `bot`"):
        sent(bot=None)


def test_some_go_together() -> None:
    assert sent(start=1, end=2) == {"bot": "b", "start": 1, "end": 2}
    with pytest.raises(ValidationError, match="`end` is missing"):
        sent(start=1)


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ({"type": "stop"}, "stop"),
        (Stop(), "stop"),
        ({"type": "go"}, ""),
        ({}, ""),
        ({"type": ["stop"]}, ""),
        (7, ""),
    ],
)
def test_tags(value: object, tag: str) -> None:
    assert tag_of("type", "type", ("stop",))(value) == tag


class Kept(Model):
    id: str
    refresh_token: str | None = None
    inner: Stop | None = None
    rows: list[Stop] | None = None


def test_a_platforms_answer_is_read_back_by_the_model_and_checked_by_its_name() -> None:
    kept = Kept.model_validate({"id": 7, "inner": {"finalMessage": 5}})
    assert (cast("Any", kept).id, cast("Any", kept.inner).final_message) == (7, 5)
    assert Kept.model_validate_json(b'{"id": 7}') == Kept.model_validate({"id": 7})
    with pytest.raises(ValidationError):
        Kept(id=cast("Any", 7))
    with pytest.raises(ValidationError):
        Kept.model_validate({"id": 7}, strict=True)
    with pytest.raises(ValidationError):
        Kept.model_validate([])
    with pytest.raises(ValidationError):
        Kept.model_validate_json("[]")
    with pytest.raises(ValidationError, match="Invalid JSON"):
        Kept.model_validate_json("{")


def test_a_model_that_differs_is_dumped_without_a_warning() -> None:
    kept = Kept.model_validate({"id": 7, "rows": [{"finalMessage": ["private"]}, "text"], "inner": "no object"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kept.model_dump(exclude_unset=True) == {
            "id": 7,
            "rows": [{"type": "stop", "finalMessage": ["private"]}, "text"],
            "inner": "no object",
        }
        assert TypeAdapter(list[Kept]).dump_python([kept], exclude={0: {"rows", "inner"}}) == [
            {"id": 7, "refreshToken": None}
        ]
        assert kept.model_dump(include={"rows": {0: {"type"}}}) == {"rows": [{"type": "stop"}]}


def test_a_model_is_described_the_same_in_and_out() -> None:
    there, back = (Kept.model_json_schema(mode=mode) for mode in ("validation", "serialization"))
    assert {**there, "required": 0, "$defs": 0} == {**back, "required": 0, "$defs": 0}


def test_secrets_do_not_show_and_can_be_read() -> None:
    kept = Kept.model_validate(
        {"id": "i", "refreshToken": "S3CRET", "apiKey": "S3CRET", "more": [{"password": "S3CRET", "n": 1}]}
    )
    assert "S3CRET" not in repr(kept) + str(kept)
    assert repr(kept).endswith("refresh_token='***', inner=None, rows=None, apiKey='***', "
                               "more=[{'password': '***', 'n': 1}])")  # fmt: skip
    assert (kept.refresh_token, cast("Any", kept).apiKey) == ("S3CRET", "S3CRET")
    assert kept.model_dump()["apiKey"] == "S3CRET"


def test_a_copy_and_a_pickle_know_the_exchange() -> None:
    stop = Stop()
    attach_info(stop, INFO)
    for other in (copy.copy(stop), copy.deepcopy(stop), stop.model_copy(), pickle.loads(pickle.dumps(stop))):
        assert other == stop
        assert response_info(other) == INFO
    assert "_response_info" not in pickle.loads(pickle.dumps(Stop())).__dict__
