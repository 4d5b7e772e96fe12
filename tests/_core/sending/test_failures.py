from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core import errors
from dialogkit._core.errors import APIStatusError
from dialogkit._core.http.transport import Answer
from dialogkit._core.sending.errors import Refusal, request_id_of, retry_after_of, status_error
from tests.support.messages import answer_of

REFUSAL = Refusal(operation="get_thing", platform="Toy", method="GET", path="/things/{id}", attempts=2, repeatable=True)


def error_for(
    status: int, content: bytes = b"", headers: dict[str, str] | None = None, secrets: tuple[str, ...] = ()
) -> APIStatusError:
    return status_error(REFUSAL, answer_of(status, headers=headers), content, secrets=secrets)


def error_of(body: object, status: int = 400) -> APIStatusError:
    return error_for(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        *errors.STATUS_ERRORS.items(),
        (500, errors.ServerError),
        (599, errors.ServerError),
        (418, APIStatusError),
        (302, APIStatusError),
    ],
)
def test_the_status_decides_the_class(status: int, cls: type[APIStatusError]) -> None:
    error = error_of({"statusCode": 200, "message": "all is well"}, status)
    assert type(error) is cls
    assert (error.status, error.attempts, error.operation) == (status, 2, "get_thing")


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        ({"statusCode": 400, "message": "no such bot"}, None, "no such bot"),
        ({"statusCode": 401, "message": "bad", "error": "Unauthorized"}, "Unauthorized", "bad"),
        (
            {"message": ["a is missing", "b is bad"], "error": "Unprocessable"},
            "Unprocessable",
            "a is missing; b is bad",
        ),
        ({"status": 413, "message": "too big"}, None, "too big"),
        ({"error": {"code": "not_found", "message": "gone", "details": {}}}, "not_found", "gone"),
        ({"error": {"code": 40, "message": "gone"}, "traceId": "t"}, "40", "gone"),
        ({"detail": "Not found."}, None, "Not found."),
        ({"detail": [{"loc": ["q"], "msg": "bad"}]}, None, "loc: q; msg: bad"),
        (
            {"name": ["This is required."], "age": ["Too low.", "Odd."]},
            None,
            "name: This is required.; age: Too low.; Odd.",
        ),
        ({"error": "invalid_grant", "error_description": "expired"}, "invalid_grant", "expired"),
        ({"error": "Forbidden"}, "Forbidden", "Forbidden"),
        (["a", "b"], None, "a; b"),
        ("words", None, "words"),
        ({}, None, ""),
        (None, None, ""),
        (7, None, "7"),
        ({"message": None, "statusCode": 500}, None, ""),
    ],
)
def test_the_platforms_words_are_found_in_any_shape(body: object, code: str | None, detail: str) -> None:
    error = error_of(body)
    assert (error.code, error.detail, error.body) == (code, detail, body)


def test_the_message_says_it_all() -> None:
    content = json.dumps({"message": "No such thing.", "traceId": "trace-1"}).encode()
    assert str(error_for(404, content)) == (
        "get_thing: Toy answered 404 Not Found to GET /things/{id}: No such thing. Check the ids, and that they "
        "belong to this credential's account (request id trace-1)."
    )
    assert "Wait 3 s" in str(error_for(429, headers={"retry-after": "2.5"}))
    assert "base_url" in str(error_for(301))


def test_bodies_that_are_not_json() -> None:
    page = b"<html><head><title> 502 Bad\nGateway</title></head>" + b"x" * 100_000
    error = error_for(502, page)
    assert isinstance(error.body, str)
    assert error.detail.startswith("an HTML page")
    assert len(str(error)) < 500
    assert error_for(500, b"\xff\xfe oops").detail.endswith("oops")
    assert error_for(500, b"oops", {"content-type": "text/plain; charset=klingon"}).body == "oops"
    assert error_for(500, b"").body is None
    huge = error_for(500, b"word " * 1_000_000)
    assert len(str(huge)) < 1_000


names = st.text() | st.sampled_from(["message", "error", "detail", "code", "traceId"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
bodies = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner))


@given(bodies)
def test_no_body_is_too_odd(body: Any) -> None:
    error = error_of(body)
    assert str(error).startswith("get_thing: Toy answered 400 Bad Request")
    assert isinstance(error.detail, str)


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd(content: bytes) -> None:
    assert str(pickle.loads(pickle.dumps(error_for(500, content)))) == str(error_for(500, content))


def test_depth_is_no_problem() -> None:
    assert error_for(400, b"[" * 50_000).status == 400
    assert error_for(400, b"[" * 150 + b"]" * 150).status == 400


def test_secrets_are_blotted_out_and_cookies_left_out() -> None:
    content = json.dumps({"message": "bad token-123456", "a": {"token-123456": ["token-123456"]}}).encode()
    headers = {"Set-Cookie": "session=1", "X-Echo": "token-123456", "X-Other": "b"}
    error = error_for(401, content, headers, ("token-123456",))
    assert "token-123456" not in repr(vars(error)) + str(error)
    assert dict(error.headers) == {"x-echo": "***", "x-other": "b"}
    assert "token-123456" not in str(error_for(500, b"plain token-123456", None, ("token-123456",)))


@pytest.mark.parametrize(
    ("headers", "content", "expected"),
    [
        ({"X-Request-Id": "a"}, b"", "a"),
        ({"x-trace-id": "b"}, b"", "b"),
        (
            {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
            b"",
            "0af7651916cd43dd8448eb211c80319c",
        ),
        ({"traceparent": "nonsense"}, b"", "nonsense"),
        ({}, b'{"a": 1, "traceId" : "c"}', "c"),
        ({}, b'{"traceId": 5}', None),
        ({}, b"", None),
    ],
)
def test_request_ids(headers: dict[str, str], content: bytes, expected: str | None) -> None:
    assert request_id_of(answer_of(headers=headers), content) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("\u0663", None),
        ("9" * 400, None),
        ("Sat, 07 Mar 2026 12:00:30 GMT", 30.0),
        ("Sat, 07 Mar 2026 11:00:00 GMT", 0.0),
        ("Sat, 07 Mar 99999 12:00:30 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    headers = {"retry-after": text, "date": "Sat, 07 Mar 2026 12:00:00 GMT"}
    assert retry_after_of(headers) == seconds


def test_retry_after_as_a_date_without_the_platforms_clock() -> None:
    soon = datetime.now(timezone.utc).replace(year=2090)
    found = retry_after_of({"retry-after": soon.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    assert found is not None
    assert found > 1e9
    assert retry_after_of({}) is None


@given(st.text())
def test_no_retry_after_is_too_odd(text: str) -> None:
    found = retry_after_of({"retry-after": text})
    assert found is None or found >= 0


FORGED = "x\n2026-01-01 CRITICAL root: forged\x1b[2J\x1b]0;pwned\x07\u202e"


@pytest.mark.parametrize(
    "body",
    [
        {"message": FORGED},
        {"code": FORGED, "message": "m"},
        {"traceId": FORGED},
        {"requestId": FORGED},
        {"error": FORGED},
        {"error": {"message": [FORGED, {FORGED: FORGED}], "code": FORGED}},
        {FORGED: FORGED},
        f"<html><title>{FORGED}</title>",
    ],
)
def test_no_line_is_forged(body: object) -> None:
    error = error_of(body)
    for text in (str(error), error.detail, error.code or "", error.request_id or ""):
        assert text.isprintable()


def test_a_request_id_of_a_header_is_printable() -> None:
    assert request_id_of(Answer(400, [(b"X-Request-Id", b"ab\x9b2J")])) == "ab\\x9b2J"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"traceId": "body"}', "body"),
        (b'{"rows": [{"traceId": "row"}], "traceId": "body"}', "body"),
        (b'{"traceId": "body", "rows": [{"traceId": "row"}]}', "body"),
        (b'{"rows": [{"traceId": "row"}, {"traceId": "other"}]}', "header"),
        (b'{"traceId": 7}', "header"),
        (b'"traceId" "traceId"', "header"),
        (b"{}", "header"),
    ],
)
def test_the_trace_id_of_a_body_comes_first(content: bytes, expected: str) -> None:
    assert request_id_of(answer_of(headers={"X-Request-Id": "header"}), content) == expected
    assert error_for(400, content, {"X-Request-Id": "header"}).request_id == expected


def test_a_401_names_its_usual_causes() -> None:
    assert "version" not in str(error_for(401)).lower()
    refusal = replace(REFUSAL, version_header="Version")
    told = str(status_error(refusal, answer_of(401), b""))
    assert all(cause in told for cause in ("key or token", "scope", "Version"))


def test_an_echo_in_another_spelling_is_blotted_out_everywhere() -> None:
    quoted = "token%2D123456"
    content = json.dumps({"message": f"bad {quoted}", quoted: [quoted.upper()]}).encode()
    error = error_for(401, content, {"X-Echo": quoted}, ("token-123456",))
    assert quoted not in repr(vars(error)).lower()
    assert error.detail == "bad ***"
    assert error_for(500, "token-123456".encode("utf-16"), None, ("token-123456",)).body.endswith("***")
