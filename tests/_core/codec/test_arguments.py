"""A wrong argument is refused by its name; whatever is given, nothing else than that comes of it."""

from __future__ import annotations

import enum
import logging
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dialogkit._core.codec.arguments import say_unknown, unknown_values, validate
from dialogkit._core.codec.models import Arguments, Input, Null
from dialogkit._core.codec.text import pairs, path, scalar
from dialogkit._core.errors import InvalidArgumentError

Channel: TypeAlias = Literal["SMS", "Email"] | str  # noqa: PYI051


class Part(Input):
    to: str | None = None
    size: float | None = None
    channel: Channel | None = None


class Body(Input):
    text: str
    subject: str | None = None
    note: Annotated[str | None, Null] = None
    part: Part | None = None
    parts: list[Part] | None = None
    channels: list[Channel] | None = None
    free: Any = None


class Query(Arguments):
    channel: Channel | None = None


BODY: TypeAdapter[Any] = TypeAdapter(Body)


def sent(given: object) -> Any:
    return BODY.dump_python(validate(BODY, given, operation="act"), by_alias=True, exclude_unset=True)


def refused(given: object) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        sent(given)
    assert caught.value.operation == "act"
    return caught.value.argument


@pytest.mark.parametrize(
    ("more", "argument"),
    [
        ({"subject": None}, "subject"),
        ({"part": None}, "part"),
        ({"part": {"too": "+1"}}, "part.too"),
        ({"parts": [{}, {"to": None}]}, "parts[1].to"),
        ({"parts": [{}, {"two": 1}]}, "parts[1].two"),
        ({"more": 1}, "more"),
        ({"text": 1}, "text"),
        ({"part": {"size": float("nan")}}, "part.size"),
        ({"free": [{"a": float("inf")}]}, "free[0].a"),
    ],
)
def test_what_the_document_does_not_have_is_refused(more: dict[str, Any], argument: str) -> None:
    assert refused({"text": "x", **more}) == argument


def test_null_is_sent_where_the_document_has_it() -> None:
    given = {"text": "x", "note": None, "free": None}
    assert sent(given) == given


def test_a_model_is_checked_when_it_is_made_and_when_it_is_sent() -> None:
    with pytest.raises(ValidationError):
        Part(too="+1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValidationError):
        Part(size=float("nan"))
    part = Part(to="+1")
    assert sent({"text": "x", "part": part, "parts": [part]}) == {
        "text": "x",
        "part": {"to": "+1"},
        "parts": [{"to": "+1"}],
    }
    part.to = cast("Any", 5)
    assert refused({"text": "x", "part": part}).startswith("part")


def test_what_is_only_sent_is_not_read_leniently() -> None:
    with pytest.raises(ValidationError):
        Body.model_validate({"text": 5})


def noticed(adapter: TypeAdapter[Any], given: object) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    token = unknown_values.set(found)
    try:
        validate(adapter, given, operation="act")
    finally:
        unknown_values.reset(token)
    return found


def test_values_that_an_enumeration_does_not_know_are_noticed() -> None:
    given = {"text": "x", "channels": ["SMS", "sms"], "parts": [{"channel": "Email"}, {"channel": "mail"}]}
    assert noticed(BODY, given) == [("channel", "mail"), ("channels", "sms")]
    assert noticed(TypeAdapter(Query), {"channel": "sms"}) == [("channel", "sms")]
    assert noticed(TypeAdapter(Query), {"channel": "SMS"}) == []


def test_what_is_noticed_is_said_once_and_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    said: set[tuple[str, str, str]] = set()
    with caplog.at_level(logging.WARNING, logger="dialogkit"):
        for _ in range(3):
            say_unknown("act", [("channel", "s\nms" + "x" * 500), ("channel", "mail")], said)
    assert len(caplog.messages) == 2
    assert "\n" not in caplog.messages[0]
    assert len(caplog.messages[0]) < 250
    assert caplog.messages[1] == (
        "act: channel is 'mail', which the document does not know. It is sent all the same; this is said once."
    )


class Status(str, enum.Enum):
    UNREAD = "unread"


class Size(int, enum.Enum):
    TWENTY = 20


class Share(float, enum.Enum):
    HALF = 0.5


class Plain(enum.Enum):
    ONE = "one"


class Page(enum.IntEnum):
    FIRST = 1


def test_members_of_enumerations_write_their_values() -> None:
    given = {"a": Status.UNREAD, "b": Size.TWENTY, "c": Page.FIRST, "d": Plain.ONE, "e": Share.HALF}
    assert pairs("act", given | {"f": [Status.UNREAD]}) == "a=unread&b=20&c=1&d=one&e=0.5&f=unread"
    assert path("act", "/x/{id}", {"id": Status.UNREAD}) == "/x/unread"


def test_a_number_that_nobody_can_write_down_is_refused() -> None:
    for number in (10**5_000, -(10**5_000)):
        with pytest.raises(InvalidArgumentError):
            scalar("act", "n", number)
    assert scalar("act", "n", 10**1_000) == "1" + "0" * 1_000


def test_what_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert refused({"text": "x", "free": loop}) == "the body"


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.decimals()
    | st.datetimes()
    | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(sorted(Body.model_fields)), inner, max_size=4)
        | st.tuples(inner)
    ),
    max_leaves=8,
)


@given(odd | st.fixed_dictionaries({"text": st.text()}, optional=dict.fromkeys(("part", "parts", "free"), odd)))
@settings(deadline=None)
def test_an_argument_is_taken_or_refused_and_nothing_else(given: object) -> None:
    with suppress(InvalidArgumentError):
        assert isinstance(validate(BODY, given, operation="act"), Body)
