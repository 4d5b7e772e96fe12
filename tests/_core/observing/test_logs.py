"""What the log says, and what it never says."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.call import Operation
from dialogkit._core.errors import (
    APIConnectionError,
    APITimeoutError,
    DialogkitError,
    RateLimitError,
    ResponseValidationError,
    ServerError,
)
from dialogkit._core.http.transport import Request
from dialogkit._core.observing.hooks import Hooks
from dialogkit._core.observing.logs import LONGEST_BODY, excerpt
from dialogkit._core.observing.watch import Attempt, Watch
from dialogkit._core.support.printing import printable
from tests._core.toy import CREATE_THING, GET_PICTURE, GET_THING, KEY
from tests.support.messages import answer_of, request_of

QUERY = "phone=%2B491234"
SAID = "Your code is 1234"
ANSWERED = "Thank you"
SENT = SAID.encode()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def request(content: Any = SENT) -> Request:
    url = f"https://toy.example/api/things/t1?{QUERY}"
    return request_of("POST", url, headers={"Authorization": f"Bearer {KEY}"}, content=content)


async def attempt_of(
    watch: Watch, operation: Operation[Any] = CREATE_THING, content: Any = SENT, *, number: int = 1
) -> Attempt:
    attempt = await watch.sending(operation, request(content), attempt=number, location_id="loc_1")
    assert attempt is not None
    return attempt


async def exchange(operation: Operation[Any], sent: Any, answer: bytes | None) -> None:
    attempt = await attempt_of(Watch("Toy", Hooks()), operation, sent)
    await attempt.answered(answer_of(200), None)
    if answer is not None:
        attempt.body(answer)


def lines(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


async def test_each_attempt_ends_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    clock = Clock()
    watch = Watch("Toy", Hooks(), clock=clock)
    for number in (1, 2, 3, 4):
        attempt = await attempt_of(watch, GET_THING, number=number)
        clock.now += 0.012
        if number == 1:
            attempt.failed("the connection broke (ReadError)", timed_out=False)
        elif number == 2:
            attempt.abandoned()
        else:
            await attempt.answered(answer_of(200), "req_1")
        attempt.abandoned()  # in passing, it says nothing more
        if number == 4:
            attempt.failed("the answer could not be decompressed", timed_out=False)
    assert lines(caplog, "dialogkit.http") == [
        "get_thing: GET /things/{thing_id}: the connection broke (ReadError) (attempt 1, 12 ms)",
        "get_thing: GET /things/{thing_id}: abandoned (attempt 2, 12 ms)",
        "get_thing: GET /things/{thing_id}: 200 (attempt 3, 12 ms)",
        "get_thing: GET /things/{thing_id}: 200 (attempt 4, 12 ms)",
        "get_thing: GET /things/{thing_id}: the answer could not be decompressed (attempt 4, 12 ms)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


CALL: dict[str, Any] = {"operation": "get_thing", "attempts": 1}
RETRIES: list[tuple[DialogkitError, str]] = [
    (ServerError(SAID, operation="get_thing", status=503, detail=SAID), "the platform answered 503"),
    (RateLimitError(SAID, operation="get_thing", status=429, detail=SAID), "the platform answered 429"),
    (APITimeoutError("...", sent=True, **CALL), "no complete answer within the timeout"),
    (APITimeoutError("...", sent=False, **CALL), "no connection within the timeout"),
    (APIConnectionError("...", sent=True, **CALL), "no complete answer, the connection broke"),
    (APIConnectionError("...", sent=False, **CALL), "no connection could be made"),
    (ResponseValidationError(SAID, operation="x", body=SAID.encode(), request_id=None), "ResponseValidationError"),
]


@pytest.mark.parametrize(("error", "why"), RETRIES)
async def test_a_retry_is_a_line_that_says_why(
    error: DialogkitError, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dialogkit")
    await Watch("Toy", Hooks()).retrying(GET_THING, attempt=1, location_id=None, error=error, delay=0.25)
    assert caplog.record_tuples == [
        (
            "dialogkit.http",
            logging.INFO,
            f"get_thing: GET /things/{{thing_id}}: attempt 1 failed, the next one follows in 0.25 s: {why}",
        )
    ]


@pytest.mark.parametrize(
    ("reason", "seconds", "line"),
    [
        ("waited", 0.99, None),
        ("waited", 1.0, "waited 1 s for its turn at the rate limiter (attempt 2)"),
        ("refused", None, "429, the platform's rate limit is reached; it does not say for how long (attempt 2)"),
        ("refused", 7.5, "429, the platform's rate limit is reached; it asks to wait 7.5 s (attempt 2)"),
    ],
)
async def test_long_waits_and_refusals_are_lines(
    reason: Any, seconds: float | None, line: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dialogkit")
    await Watch("Toy", Hooks()).held_back(GET_THING, attempt=2, location_id=None, reason=reason, seconds=seconds)
    expected = [] if line is None else [f"get_thing: GET /things/{{thing_id}}: {line}"]
    assert lines(caplog, "dialogkit.http") == expected
    assert all(record.levelno == logging.INFO for record in caplog.records)


async def test_by_default_the_log_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch("Toy", Hooks(on_request=lambda event: None))
    attempt = await attempt_of(watch)
    await attempt.answered(answer_of(500), None)
    attempt.body(ANSWERED.encode())
    await watch.retrying(GET_THING, attempt=1, location_id=None, error=RETRIES[0][0], delay=1)
    await watch.held_back(GET_THING, attempt=1, location_id=None, reason="waited", seconds=60)
    assert not caplog.records


@pytest.mark.parametrize("parent", ["", "dialogkit"])
async def test_bodies_are_private_unless_asked_for_by_name(parent: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, parent)
    await exchange(CREATE_THING, SENT, ANSWERED.encode())
    assert lines(caplog, "dialogkit.bodies") == []
    assert lines(caplog, "dialogkit.http") != []
    assert SAID not in caplog.text
    assert ANSWERED not in caplog.text


@pytest.mark.parametrize("level", [1, logging.DEBUG])
async def test_bodies_are_shown_to_those_who_ask(level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level, "dialogkit.bodies")
    await exchange(CREATE_THING, SENT, ANSWERED.encode())
    assert lines(caplog, "dialogkit.bodies") == [
        f"create_thing: POST /things: request body (attempt 1): {SAID}",
        f"create_thing: POST /things: 200 response body (attempt 1): {ANSWERED}",
    ]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


async def test_bodies_stay_private_at_other_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    caplog.set_level(logging.INFO, "dialogkit.bodies")
    await exchange(CREATE_THING, SENT, ANSWERED.encode())
    assert lines(caplog, "dialogkit.bodies") == []


async def test_an_empty_body_is_empty(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit.bodies")
    await exchange(GET_THING, None, b"")
    assert lines(caplog, "dialogkit.bodies") == [
        "get_thing: GET /things/{thing_id}: request body (attempt 1): ",
        "get_thing: GET /things/{thing_id}: 200 response body (attempt 1): ",
    ]


async def test_streams_are_not_read_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SAID.encode()
        raise AssertionError("nobody may read this")

    caplog.set_level(logging.DEBUG, "dialogkit.bodies")
    await exchange(GET_PICTURE, stream(), None)
    assert lines(caplog, "dialogkit.bodies") == [
        "get_picture: GET /things/{thing_id}/picture: request body (attempt 1): <stream>",
        "get_picture: GET /things/{thing_id}/picture: 200 response body (attempt 1): <stream>",
    ]


async def test_no_line_has_a_credential_or_a_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    caplog.set_level(logging.DEBUG, "dialogkit.bodies")
    echo = f'{{"authorization": "Bearer {KEY}", "key": "{KEY}"}}'.encode()
    watch = Watch("Toy", Hooks())
    attempt = await attempt_of(watch, content=echo)
    await attempt.answered(answer_of(401, headers={"X-Echo": KEY}), KEY)
    attempt.body(echo)
    attempt = await attempt_of(watch)
    attempt.failed("the connection broke (ReadError)", timed_out=False)
    for error, _ in RETRIES:
        await watch.retrying(CREATE_THING, attempt=1, location_id=None, error=error, delay=1)
    assert len(caplog.records) == 6 + len(RETRIES) - 1
    assert caplog.text.count('{"authorization": "***", "key": "***"}') == 2
    assert KEY not in caplog.text
    assert QUERY not in caplog.text
    assert "1234" not in "".join(lines(caplog, "dialogkit.http"))


@pytest.mark.parametrize("form", ["pit/0123+456=", "pit\\/0123+456=", "pit%2F0123%2B456%3D"])
def test_an_echo_in_another_spelling_is_blotted_out(form: str) -> None:
    assert excerpt(f"a {form} z".encode(), ("pit/0123+456=",)) == "a *** z"


def test_no_part_of_a_credential_is_left_at_the_end_of_an_excerpt() -> None:
    secret = KEY * 4  # so long that the asterisks of all its echoes are shown, and what comes after them
    for before in range(len(secret)):  # wherever the part of the body ends that is looked at
        shown = excerpt(b"." * before + secret.encode() * 700, (secret,))
        assert set(shown.partition(" [")[0]) <= {".", "*"}
        assert shown.endswith(f" [... {before + 700 * len(secret)} bytes]")


def test_long_bodies_are_cut() -> None:
    assert excerpt(b"x" * LONGEST_BODY, ()) == "x" * LONGEST_BODY
    assert excerpt(b"x" * (LONGEST_BODY + 1), ()) == "x" * LONGEST_BODY + " [... 2001 bytes]"
    assert excerpt(b"x" * 10_000_000, ()) == "x" * LONGEST_BODY + " [... 10000000 bytes]"
    assert excerpt("ä".encode() * LONGEST_BODY, ()) == "ä" * LONGEST_BODY


def test_bytes_that_are_no_text_are_counted() -> None:
    assert excerpt(b"RIFF\0\0\0\0", ()) == "<8 bytes>"
    assert excerpt(KEY.encode("utf-16-le"), (KEY,)) == f"<{2 * len(KEY)} bytes>"


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
def test_a_body_stays_on_its_line(body: bytes) -> None:
    shown = excerpt(body, ())
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


def test_control_characters_are_escaped_and_letters_are_not() -> None:
    assert printable("Grüße 🙂\r\nINFO forged\x1b[2J\u202e") == "Grüße 🙂\\r\\nINFO forged\\x1b[2J\\u202e"


async def test_a_reason_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit.http")
    attempt = await attempt_of(Watch("Toy", Hooks()))
    attempt.failed("gone\nERROR forged", timed_out=False)
    assert "gone\\nERROR forged" in lines(caplog, "dialogkit.http")[0]
