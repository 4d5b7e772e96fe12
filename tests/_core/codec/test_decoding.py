"""What becomes of answers that are as documented, of answers that differ, and of what is no answer at all."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, TypeAlias, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, SchemaValidator

from dialogkit._core.call import Operation
from dialogkit._core.codec.decoding import decode
from dialogkit._core.codec.models import Model, tag_of
from dialogkit._core.codec.moments import UnixMilliseconds
from dialogkit._core.codec.tolerance import place
from dialogkit._core.errors import ResponseValidationError
from dialogkit._core.events import Drift


class StopBot(Model):
    type: Literal["stopBot"] = "stopBot"
    max_count: int


class Transfer(Model):
    type: Literal["transfer"]
    channels: list[str]


class UnknownAction(Model):
    type: str | None = None


Status: TypeAlias = Literal["open", "closed"] | str  # noqa: PYI051
Action: TypeAlias = Annotated[
    Annotated[StopBot, Tag("stopBot")] | Annotated[Transfer, Tag("transfer")] | Annotated[UnknownAction, Tag("")],
    Discriminator(tag_of("type", "type", ("stopBot", "transfer"))),
]


class Call(Model):
    duration: int


class Row(Model):
    id: str
    email: str | None = None
    status: Status | None = None
    date_added: datetime
    last_message_date: UnixMilliseconds | None = None
    action: Action
    more_actions: list[Action] | None = None
    calls: dict[str, Call] | None = None
    parent: Row | None = None
    to: str | list[str] | None = None
    attempts: Annotated[int, Field(ge=1)] = 3
    meta: dict[str, Any] | None = None
    under: str | None = Field(default=None, validation_alias="_under", serialization_alias="_under")


class Rows(Model):
    rows: list[Row]
    total: int


def operation(result: Any = Rows, **facts: Any) -> Operation[Any]:
    return Operation(id="list_rows", method="GET", path="/rows", retry="safe", result=lambda: result, **facts)


LIST = operation(items="rows")


def take(what: Operation[Any], answer: Any, *, strict: bool = False) -> tuple[Any, list[tuple[str, str]]]:
    drifts: list[Drift] = []
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    result = decode(what, content, strict=strict, on_drift=drifts.append, request_id="q1")
    assert all(each.operation == "list_rows" for each in drifts)
    return result, [(each.location, each.message) for each in drifts]


def row(**changes: Any) -> dict[str, Any]:
    valid: dict[str, Any] = {
        "id": "r1",
        "email": "a@b.example",
        "status": "open",
        "dateAdded": "2026-01-02T03:04:05.678Z",
        "lastMessageDate": 1_628_008_053_263,
        "action": {"type": "stopBot", "maxCount": 3, "name": "kept"},
        "moreActions": [{"type": "transfer", "channels": ["SMS"]}, {"type": "new", "depth": 7}],
        "calls": {"first": {"duration": 8}, "2 nd": {"duration": 9}},
        "parent": {"id": "r0", "dateAdded": "2026-01-02T03:04:05Z", "action": {"type": "transfer", "channels": []}},
        "to": ["a"],
        "attempts": 2,
        "meta": {"any": [1, None, {"x": "y"}]},
        "_under": "score",
        "unheardOf": [1],
    }
    return valid | changes


def test_an_answer_as_documented_is_what_pydantic_makes_of_it() -> None:
    result, drifts = take(LIST, {"rows": [row()], "total": 1})
    assert drifts == []
    assert result == Rows.model_validate({"rows": [row()], "total": 1})
    assert result.rows[0].date_added == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=timezone.utc)
    assert result.rows[0].model_extra == {"unheardOf": [1]}


def test_a_missing_field_is_none_and_everything_else_as_usual() -> None:
    broken = row()
    del broken["id"]
    del broken["action"]["maxCount"]
    result, drifts = take(LIST, {"rows": [row(), broken], "total": 2})
    assert drifts == [("rows[1].id", "Field required"), ("rows[1].action.max_count", "Field required")]
    assert isinstance(result, Rows)
    bad = result.rows[1]
    assert isinstance(bad, Row)
    assert cast("Any", bad).id is None
    assert bad.date_added == result.rows[0].date_added
    assert isinstance(bad.action, StopBot)
    assert (cast("Any", bad.action).max_count, bad.action.model_extra) == (None, {"name": "kept"})
    assert (bad.attempts, bad.under) == (2, "score")
    assert bad.model_dump(exclude_unset=True)["unheardOf"] == [1]
    assert "id" not in bad.model_fields_set


@pytest.mark.parametrize(
    ("field", "value", "location", "kept"),
    [
        ("id", 5, "id", 5),
        ("status", 7, "status", 7),
        ("dateAdded", "yesterday", "date_added", "yesterday"),
        ("dateAdded", None, "date_added", None),
        ("lastMessageDate", "soon", "last_message_date", "soon"),
        ("action", 3, "action", 3),
        ("moreActions", {"type": "transfer"}, "more_actions", {"type": "transfer"}),
        ("calls", [], "calls", []),
        ("parent", "r0", "parent", "r0"),
        ("to", {"a": 1}, "to", {"a": 1}),
        ("attempts", "many", "attempts", "many"),
        ("attempts", 0, "attempts", 0),
        ("_under", 1, "under", 1),
    ],
)
def test_a_mistyped_value_stays_as_it_came(field: str, value: Any, location: str, kept: Any) -> None:
    result, drifts = take(LIST, {"rows": [row(**{field: value})], "total": 1})
    assert [where for where, _ in drifts] == [f"rows[0].{location}"]
    assert getattr(result.rows[0], location) == kept
    assert result.rows[0].email == "a@b.example"


def test_only_the_broken_part_of_a_collection_stays_raw() -> None:
    broken = row(
        moreActions=[{"type": "stopBot", "maxCount": 1}, 5, {"type": "transfer", "channels": ["a", 1]}],
        calls={"first": {"duration": "x"}, "2 nd": 9, "third": {"duration": 1}},
        to=["a", 1],
    )
    result, drifts = take(LIST, {"rows": [broken], "total": "1"})
    assert [where for where, _ in drifts] == [
        "rows[0].more_actions[1]",
        "rows[0].more_actions[2].channels[1]",
        "rows[0].calls.first.duration",
        "rows[0].calls['2 nd']",
        "rows[0].to[1]",
    ]
    bad = result.rows[0]
    assert [type(each) for each in bad.more_actions] == [StopBot, int, Transfer]
    assert bad.more_actions[2].channels == ["a", 1]
    assert bad.calls["first"].duration == "x"
    assert bad.calls["third"] == Call(duration=1)
    assert bad.to == ["a", 1]
    assert result.total == 1


def test_an_unknown_tag_selects_the_open_member_and_is_no_difference() -> None:
    result, drifts = take(LIST, {"rows": [row(action={"type": "brandNew", "x": 1})], "total": 1})
    assert drifts == []
    assert isinstance(result.rows[0].action, UnknownAction)


def test_keys_that_look_like_arguments_of_pydantic_are_fields() -> None:
    result, _ = take(LIST, {"rows": [row(id=5, _fields_set=1, cls=2, self=3)], "total": 1})
    assert result.rows[0].model_extra == {"unheardOf": [1], "_fields_set": 1, "cls": 2, "self": 3}


def test_messages_name_no_value() -> None:
    _, drifts = take(LIST, {"rows": [row(id=987_654, dateAdded="secret text", status=123_321)], "total": "hidden"})
    text = str(drifts)
    assert len(drifts) == 4
    assert not any(value in text for value in ("987654", "secret text", "123321", "hidden"))
    with pytest.raises(ResponseValidationError) as caught:
        take(LIST, {"rows": [row(id=987_654)], "total": "hidden"}, strict=True)
    assert "987654" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_strict_raises_with_places_and_the_body() -> None:
    content = json.dumps({"rows": [row(id=n) for n in range(5)], "total": 5}).encode()
    with pytest.raises(ResponseValidationError) as caught:
        take(LIST, content, strict=True)
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error).startswith(
        "list_rows: the answer differs from the document in 5 places (rows[0].id: Input should"
    )
    assert "rows[2].id" in str(error)
    assert "rows[3].id" not in str(error)
    assert "and 2 more" in str(error)
    assert "`strict`" in str(error)
    assert (error.operation, error.body, error.request_id) == ("list_rows", content, "q1")
    assert caught.value.__cause__ is None


def test_strict_accepts_what_is_as_documented() -> None:
    assert take(LIST, {"rows": [], "total": 0}, strict=True) == (Rows(rows=[], total=0), [])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><title>Bad gateway</title>", "HTML page"),
        (b"<html>", "HTML page"),
        (b"OK", "not JSON"),
        (b"{", "not JSON"),
        (b'{"rows":[]} trailing', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"null", "valid dictionary"),
        (b"3", "valid dictionary"),
        (b"true", "valid dictionary"),
        (b'"text"', "valid dictionary"),
        (b"NaN", "valid dictionary"),
        (b"1" * 5_000, "valid dictionary"),
        (b"[" * 100_000, "not JSON|too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too deeply"),
    ],
    ids=range(14),
)
def test_what_is_unusable_raises_in_any_case(content: bytes, said: str, strict: bool) -> None:
    with pytest.raises(ResponseValidationError, match=said) as caught:
        take(LIST, content, strict=strict) if content[:1] != b"[" else take(operation(), content, strict=strict)
    assert caught.value.body == content


def test_an_array_is_unusable_where_no_list_is_due() -> None:
    with pytest.raises(ResponseValidationError):
        take(operation(), [])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'\xef\xbb\xbf{"rows":[],"total":1,"x":2}', 2),
        (b'{"rows":[],"total":1,"x":"cut \\ud83d"}', "cut \ufffd"),
        (b'{"rows":[],"total":1,"x":"cut \\uDE00 \\ud83d\\ude00 \\\\ud83d"}', "cut \ufffd \U0001f600 \\ud83d"),
        (b'{"rows":[],"total":1,"x":"\xe4"}', "\ufffd"),
        (b'{"rows":[],"total":1,"x":' + b"9" * 5_000 + b"}", "9" * 5_000),
        (b'{"rows":[],"total":1,"x":' + b"[" * 300 + b"]" * 300 + b"}", None),
    ],
    ids=range(6),
)
def test_json_that_is_nearly_right_is_read_and_reported(content: bytes, expected: Any) -> None:
    result, drifts = take(LIST, content)
    assert [where for where, _ in drifts] == [""]
    assert "leniently" in drifts[0][1]
    if expected is not None:
        assert result.x == expected
    with pytest.raises(ResponseValidationError, match="leniently"):
        take(LIST, content, strict=True)


def test_huge_numbers_duplicated_keys_and_not_a_number_are_read() -> None:
    result, drifts = take(LIST, b'{"rows":[],"total":1,"total":2,"big":' + b"9" * 400 + b',"nan":NaN,"inf":-Infinity}')
    assert drifts == []
    assert (result.total, result.big) == (2, int("9" * 400))
    assert result.nan != result.nan


UNWRAP = operation(Row, unwrap="message")


def test_an_envelope_is_taken_off_and_may_be_absent() -> None:
    expected = Row.model_validate(row())
    assert take(UNWRAP, {"message": row(), "traceId": "t"}) == (expected, [])
    assert take(UNWRAP, row()) == (expected, [])
    assert take(UNWRAP, row(message="no object"))[0].message == "no object"


def test_places_are_those_of_the_result() -> None:
    assert take(UNWRAP, {"message": row(id=1)})[1][0][0] == "id"
    with pytest.raises(ResponseValidationError):
        take(UNWRAP, {"message": row(id=1)}, strict=True)


def test_a_bare_array_is_the_rows() -> None:
    result, drifts = take(LIST, [row()])
    assert isinstance(result, Rows)
    assert result.rows == [Row.model_validate(row())]
    assert drifts == [("total", "Field required")]


def test_a_nested_list_may_be_wrapped_or_not() -> None:
    class Messages(Model):
        messages: list[Call]
        next_page: bool | None = None

    what = operation(Messages, unwrap="messages", items="messages")
    inner = {"messages": [{"duration": 1}], "nextPage": True}
    expected = Messages(messages=[Call(duration=1)], next_page=True)
    assert take(what, {"messages": inner, "traceId": "t"}) == (expected, [])
    assert take(what, inner) == (expected, [])


def test_one_object_alone_is_a_list_of_one() -> None:
    what = operation(list[Call], single_as_list=True)
    assert take(what, {"duration": "3"}) == ([Call(duration=3)], [])
    assert take(what, [{"duration": 3}]) == ([Call(duration=3)], [])
    result, drifts = take(what, {"duration": "x"})
    assert (result[0].duration, [where for where, _ in drifts]) == ("x", ["[0].duration"])
    with pytest.raises(ResponseValidationError):
        take(what, 3)


def test_free_json_is_taken_as_it_is() -> None:
    assert take(operation(dict[str, Any]), {"a": [1]}) == ({"a": [1]}, [])
    nothing: Operation[Any] = Operation(id="list_rows", method="GET", path="/", retry="safe")
    assert take(nothing, [1, None]) == ([1, None], [])


def test_a_handler_that_fails_is_logged_once_and_the_call_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Drift] = []

    def handler(drift: Drift) -> None:
        calls.append(drift)
        raise RuntimeError("no good")

    content = json.dumps({"rows": [row(id=1), row(id=2)], "total": 2}).encode()
    with caplog.at_level(logging.WARNING, logger="dialogkit"):
        result = decode(LIST, content, strict=False, on_drift=handler, request_id=None)
    assert len(result.rows) == len(calls) == 2
    assert [record.getMessage() for record in caplog.records] == ["on_drift failed; the call goes on without it"]


def test_no_handler_is_needed() -> None:
    assert decode(LIST, b'{"rows":[]}', strict=False, on_drift=None, request_id=None).rows == []


def test_an_extra_that_is_forbidden_by_no_one_survives_recursion() -> None:
    deep: dict[str, Any] = row(id=1)
    for _ in range(60):
        deep = row(parent=deep)
    result, drifts = take(LIST, {"rows": [deep], "total": 1})
    assert [where for where, _ in drifts] == ["rows[0]" + ".parent" * 60 + ".id"]
    assert isinstance(result.rows[0].parent.parent.parent, Row)


# Rules: whatever is done to a valid answer.

Step: TypeAlias = str | int
VALID: dict[str, Any] = {"rows": [row(), row(id="r2", parent=None, to="b")], "total": 2}
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield (*path, index)
            yield from places(inner, (*path, index))


PLACES = sorted(places(VALID), key=str)


def changed(path: tuple[Step, ...], value: Any, document: dict[str, Any], *, delete: bool) -> None:
    holder: Any = document
    try:
        for step in path[:-1]:
            holder = holder[step]
    except (KeyError, IndexError, TypeError):
        return
    if isinstance(holder, dict):
        fields = cast("dict[object, object]", holder)
        if delete:
            fields.pop(path[-1], None)
        else:
            fields[path[-1]] = value
    elif isinstance(holder, list) and isinstance(path[-1], int):
        elements = cast("list[object]", holder)
        elements[path[-1] : path[-1] + 1] = [value]


def at(result: Any, path: tuple[Step, ...]) -> tuple[Any, str]:
    """Return the value at a place of the JSON in the result, and the place's name in Python."""
    name: list[Step] = []
    for step in path:
        if isinstance(result, Model):
            fields = type(result).model_fields
            step = next((key for key, field in fields.items() if field.validation_alias == step), step)  # noqa: PLW2901
            result = getattr(result, str(step))
        else:
            result = result[step]
        name.append(step)
    return result, place(tuple(name))


def is_wrong(document: Any) -> bool:
    try:
        TypeAdapter(Rows).validate_python(document)
    except ValidationError:
        return True
    return False


mutations = st.lists(
    st.tuples(st.sampled_from(PLACES), junk, st.booleans()), min_size=1, max_size=4, unique_by=lambda each: each[0]
)


@given(mutations)
@settings(max_examples=300, deadline=None)
def test_whatever_is_changed_is_reported_and_everything_else_survives(
    mutations: list[tuple[tuple[Step, ...], Any, bool]],
) -> None:
    document = copy.deepcopy(VALID)
    for path, value, delete in mutations:
        changed(path, copy.deepcopy(value), document, delete=delete)
    document = json.loads(json.dumps(document))
    result, drifts = take(LIST, document)
    pristine = Rows.model_validate(VALID)
    assert bool(drifts) == is_wrong(document)
    if not drifts:
        assert result == Rows.model_validate(document)
    # A changed tag changes what its whole object is.
    touched = [path[:-1] if path[-1] == "type" else path for path, _, _ in mutations]
    for path in PLACES:
        if not any(path[: len(each)] == each or each[: len(path)] == path for each in touched):
            assert at(result, path)[0] == at(pristine, path)[0]
    for path, value, delete in mutations:
        alone = copy.deepcopy(VALID)
        changed(path, value, alone, delete=delete)
        apart = not any(
            other != path and (path[: len(other)] == other or other[: len(path)] == path) for other in touched
        )
        if apart and path in touched and is_wrong(alone):
            name = at(pristine, path)[1]
            assert any(where.startswith(name) for where, _ in drifts)


@given(st.binary(max_size=60) | junk.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None)
def test_no_bytes_end_in_another_error(content: bytes) -> None:
    for what in (LIST, UNWRAP, operation(list[Call], single_as_list=True), operation(dict[str, Any])):
        with suppress(ResponseValidationError):
            take(what, content)


class Deleted(Model):
    success: bool | None = None


@pytest.mark.parametrize("content", [b"", b" \n"])
@pytest.mark.parametrize("strict", [True, False])
def test_nothing_is_an_object_where_nothing_has_to_be_given(content: bytes, strict: bool) -> None:
    result = decode(operation(Deleted), content, strict=strict, on_drift=None, request_id=None)
    assert result == Deleted()
    assert result.model_fields_set == set()


CHANGE = Operation[Any](id="list_rows", method="POST", path="/rows", retry="safe", result=lambda: Rows, items="rows")


@pytest.mark.parametrize("content", [b"", b" \n"])
@pytest.mark.parametrize("what", [LIST, CHANGE, UNWRAP], ids=["get", "post", "wrapped"])
def test_an_empty_success_is_a_success_in_which_nothing_is_given(content: bytes, what: Operation[Any]) -> None:
    result, drifts = take(what, content)
    assert isinstance(result, Model)
    assert (result.model_fields_set, set(result.__dict__.values())) <= (set(), {None, 3})
    assert drifts[0] == ("", "The answer is empty")
    assert {message for _, message in drifts[1:]} == {"Field required"}
    with pytest.raises(ResponseValidationError, match=r"empty.*so what was asked for has happened"):
        take(what, content, strict=True)


def test_null_is_nothing_where_something_was_changed_and_no_answer_to_a_question() -> None:
    result, drifts = take(CHANGE, b" null")
    assert (result.rows, drifts[0][1]) == (None, "The answer is empty")
    with pytest.raises(ResponseValidationError):
        take(LIST, b"null")


def test_no_list_is_an_empty_list() -> None:
    what = operation(list[Call], single_as_list=True)
    assert take(what, b"") == ([], [])


def test_an_answer_is_read_in_the_charset_that_it_names() -> None:
    content = '{"rows":[],"total":1,"x":"Jürgen"}'
    for charset in ("iso-8859-1", "utf-16"):
        result = decode(
            LIST,
            content.encode(charset),
            strict=False,
            on_drift=None,
            request_id=None,
            headers={"content-type": f"application/json; charset={charset}"},
        )
        assert result.x == "Jürgen"


def test_of_each_field_a_hundred_places_are_told() -> None:
    rows = [row(id=number, attempts="many") for number in range(150)]
    result, drifts = take(LIST, {"rows": rows, "total": "x"})
    assert len(result.rows) == 150
    assert [each.id for each in result.rows] == list(range(150))
    assert [where for where, _ in drifts if where.endswith("id")] == [f"rows[{n}].id" for n in range(100)]
    assert len(drifts) == 201


class Once(list[Drift]):
    says_once = True

    def __call__(self, drift: Drift) -> None:
        self.append(drift)


def test_who_says_a_thing_once_for_all_rows_is_told_of_one() -> None:
    said = Once()
    content = json.dumps({"rows": [row(), row(id=1), row(id=2, email=3)], "total": 1}).encode()
    decode(LIST, content, strict=False, on_drift=said, request_id=None)
    assert [each.location for each in said] == ["rows[1].id", "rows[2].email"]


def test_names_from_the_wire_are_cut_and_printable() -> None:
    calls = {"k" * 500: 1, "line\nbreak \u202e": 2}
    _, drifts = take(LIST, {"rows": [row(calls=calls)], "total": 1})
    assert [where for where, _ in drifts] == [
        f"rows[0].calls['{'k' * 60}...']",
        "rows[0].calls['line\\nbreak \\u202e']",
    ]
    deep: Any = 5
    for _ in range(150):
        deep = row(parent=deep)
    _, drifts = take(LIST, {"rows": [deep], "total": 1})
    assert len(drifts[0][0]) < 1_010


def test_what_pydantic_gave_up_in_between_is_not_told() -> None:
    """The list fails at its last row, and is read anew row by row."""
    _, drifts = take(LIST, {"rows": [row(id=1), row(), "no row"], "total": 1})
    assert [where for where, _ in drifts] == ["rows[0].id", "rows[2]"]


def test_without_a_way_to_build_validators_anew_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 2.13, pydantic takes the validators that models inside have already; those refuse what differs."""
    Row.model_rebuild()

    def old(schema: CoreSchema) -> SchemaValidator:
        return SchemaValidator(schema)

    monkeypatch.setattr("dialogkit._core.codec.schemas.SchemaValidator", old)
    result, drifts = take(operation(items="rows"), {"rows": [row(id=1), row(action={"type": "stopBot"})], "total": 1})
    assert drifts[0][0] == "rows[0].id"
    assert ("rows[1].action.max_count", "Field required") in drifts
    assert [type(each) for each in result.rows] == [Row, Row]


def test_no_secret_is_in_the_error_of_a_broken_answer() -> None:
    answer = {"rows": [{"accessToken": "S3CRET", "nested": {"apiKey": "S3CRET"}}], "client_secret": "S3CRET"}
    with pytest.raises(ResponseValidationError) as caught:
        take(LIST, answer, strict=True)
    assert "S3CRET" not in str(caught.value) + repr(caught.value) + repr(vars(caught.value))
    with pytest.raises(ResponseValidationError) as caught:
        take(LIST, b'{"password": "S3CRET", "rows"')
    assert b"S3CRET" not in caught.value.body


@given(mutations)
@settings(max_examples=200, deadline=None)
def test_whatever_was_read_can_be_dumped_and_read_back(
    mutations: list[tuple[tuple[Step, ...], Any, bool]],
) -> None:
    document = copy.deepcopy(VALID)
    for path, value, delete in mutations:
        changed(path, copy.deepcopy(value), document, delete=delete)
    content = json.dumps(document)
    assume("Infinity" not in content)  # which is not JSON, and is read all the same
    result, drifts = take(LIST, content.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = result.model_dump_json()
        assert Rows.model_validate_json(written) == result
        assert Rows.model_validate(result.model_dump()) == result
        assert TypeAdapter(list[Rows]).dump_json([result]) == b"[" + written.encode() + b"]"
    assert pickle.loads(pickle.dumps(result)) == copy.deepcopy(result) == result
    if drifts:
        with pytest.raises(ResponseValidationError):
            take(LIST, content.encode(), strict=True)
    else:
        assert take(LIST, content.encode(), strict=True)[0] == TypeAdapter(Rows).validate_json(content)
