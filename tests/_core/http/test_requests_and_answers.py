"""Headers of an answer, as its readers see them."""

from __future__ import annotations

import pickle

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.http.transport import Answer, Headers, Request
from tests.support.messages import request_of

NAMES = st.sampled_from([b"X-Id", b"x-id", b"Link", b"LINK", b"Date"])
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9).map(str.encode)


@given(st.lists(st.tuples(NAMES, ASCII)))
def test_headers_are_read_as_httpx_reads_them(raw: list[tuple[bytes, bytes]]) -> None:
    theirs, ours = httpx.Headers(raw), Headers(raw)
    assert dict(ours) == dict(ours.items()) == dict(theirs)
    assert len(ours) == len(dict(theirs))
    for name in ("X-ID", "link", "Date", "absent"):
        assert ours.get(name) == theirs.get(name)
        assert (name in ours) == (name in theirs)


@pytest.mark.parametrize(("raw", "text"), [("Zoë".encode(), "Zoë"), ("Zoë".encode("latin-1"), "Zoë"), (b"\xff", "ÿ")])
def test_values_beyond_ascii(raw: bytes, text: str) -> None:
    assert Headers([(b"X-Name", raw)])["x-name"] == text


def test_headers_can_be_pickled_and_show_no_values() -> None:
    headers = Headers(((b"Set-Cookie", b"session=secret"), (b"X-Plan", b"gold")))
    assert pickle.loads(pickle.dumps(headers)) == headers
    assert repr(headers) == "<Headers set-cookie, x-plan>"


def test_fields_are_the_last_of_each_name() -> None:
    assert Answer(200, [(b"X-A", b"1"), (b"x-a", b"2")]).fields == {b"x-a": b"2"}


@pytest.mark.parametrize(
    ("status", "method", "location", "follows"),
    [
        (302, "GET", True, True),
        (308, "HEAD", True, True),
        (302, "POST", True, False),
        (302, "GET", False, False),
        (304, "GET", True, False),
        (201, "GET", True, False),
    ],
)
def test_what_is_followed(status: int, method: str, location: bool, follows: bool) -> None:
    answer = Answer(status, [(b"Location", b"/there")] if location else [])
    assert answer.redirects(method) is follows


def test_a_request_shows_neither_query_nor_headers() -> None:
    request: Request = request_of("GET", "http://127.0.0.1:8000/a?key=secret", headers={"Authorization": "secret"})
    assert repr(request) == "<Request GET http://127.0.0.1:8000>"
    assert request.url == "http://127.0.0.1:8000/a?key=secret"
